"""Which live topics a page of calculations listens to."""

from __future__ import annotations

from labportal.accounts.models import Project, User

MOST_TOPICS = 60  # the socket takes a hundred


def project_topics(user: User) -> str:
    """The topics of the visible projects, for data-topic."""
    keys = Project.objects.visible_to(user).values_list("pk", flat=True)[:MOST_TOPICS]
    return " ".join(f"project:{key}" for key in keys)
