"""Reads a person's own notifications, and who is to be told about a thing."""

from collections.abc import Iterable
from typing import Any

from django.db.models import Q, QuerySet

from labportal.accounts.models import User
from labportal.accounts.roles import Role
from labportal.notifications.models import Notification


def inbox(user: Any) -> QuerySet[Notification]:
    return Notification.objects.visible_to(user)


def unread_count(user: Any) -> int:
    return inbox(user).unread().count()


def watchers(*owners: User | int | None) -> list[User]:
    """Who is told about something of `owners`: they, and the admins who want to know about all."""
    ids = {owner.pk if isinstance(owner, User) else owner for owner in owners if owner is not None}
    wanted = Q(pk__in=ids) | Q(role=Role.ADMIN, notify_about_all=True)
    return list(User.objects.filter(wanted, is_active=True))


def active(people: Iterable[User | int]) -> list[User]:
    """Load the people of a list of users and ids, each once, without the blocked."""
    ids = {person.pk if isinstance(person, User) else person for person in people}
    return list(User.objects.filter(pk__in=ids, is_active=True).order_by("pk"))
