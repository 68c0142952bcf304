"""Makes rows for tests: people and projects. Other apps keep their factories beside their tests."""

from typing import Any

import factory
from factory.django import DjangoModelFactory

from labportal.accounts.models import Level, Membership, Project, ProjectRole, User
from labportal.accounts.roles import Role
from labportal.notifications.models import Notification

PASSWORD = "correct horse battery"


class UserFactory(DjangoModelFactory):
    """A person who signs in with PASSWORD."""

    class Meta:
        model = User
        skip_postgeneration_save = True

    username = factory.Sequence(lambda n: f"person{n}")
    email = factory.LazyAttribute(lambda user: f"{user.username}@lab.example")
    role = Role.USER

    @classmethod
    def _create(cls, model_class: type[User], *args: Any, **kwargs: Any) -> User:
        kwargs.setdefault("password", PASSWORD)
        return model_class.objects.create_user(*args, **kwargs)


class ProjectFactory(DjangoModelFactory):
    """An open project without members; `members=[...]` and `managers=[...]` add some."""

    class Meta:
        model = Project
        skip_postgeneration_save = True

    name = factory.Sequence(lambda n: f"Project {n}")
    slug = factory.Sequence(lambda n: f"project-{n}")

    @factory.post_generation
    def members(self: Project, create: bool, extracted: list[User] | None, **_: Any) -> None:
        for user in extracted or []:
            Membership.objects.create(project=self, user=user)

    @factory.post_generation
    def managers(self: Project, create: bool, extracted: list[User] | None, **_: Any) -> None:
        for user in extracted or []:
            Membership.objects.create(project=self, user=user, role=ProjectRole.MANAGER)


class NotificationFactory(DjangoModelFactory):
    class Meta:
        model = Notification

    user = factory.SubFactory(UserFactory)
    level = Level.INFO
    subject = "Water in a field is valid"
    url = "/calculations/1/"
    key = factory.Sequence(lambda n: f"occasion-{n}")


def default_project() -> Project:
    """The lab's project; tests with real transactions empty the table that the migration filled."""
    project, _ = Project.objects.get_or_create(
        is_default=True, defaults={"name": "Lab", "slug": "lab"}
    )
    return project
