"""Reads people and projects, as far as the viewer may see them."""

from django.db.models import Count, Q, QuerySet

from labportal.accounts.models import BrowserSession, Project, RefreshGrant, User
from labportal.accounts.roles import Can, can, outranks
from labportal.common import clock


def users_for(viewer: User, *, text: str = "") -> QuerySet[User]:
    """Everybody for moderators and admins, oneself for the rest; `text` searches names."""
    people = User.objects.all()
    if not can(viewer, Can.VIEW_USERS):
        people = people.filter(pk=viewer.pk) if can(viewer, Can.SIGN_IN) else people.none()
    for word in text.split():
        people = people.filter(
            Q(username__icontains=word)
            | Q(first_name__icontains=word)
            | Q(last_name__icontains=word)
            | Q(email__icontains=word)
        )
    return people


def projects_for(viewer: User, *, text: str = "") -> QuerySet[Project]:
    projects = Project.objects.visible_to(viewer).annotate(
        member_count=Count("memberships", distinct=True)
    )
    return projects.filter(name__icontains=text.strip()) if text.strip() else projects


def browsers_of(user: User) -> QuerySet[BrowserSession]:
    return BrowserSession.objects.filter(user=user)


def programs_of(user: User) -> QuerySet[RefreshGrant]:
    """The living refresh tokens, the newest of each family."""
    return RefreshGrant.objects.filter(
        user=user, used_at=None, revoked_at=None, expires_at__gt=clock.now()
    )


def verbs_for(actor: User, user: User) -> dict[str, bool]:
    """Say which verbs `actor` has on the account `user`, for pages to draw."""
    other = actor.pk != user.pk
    ranks = other and outranks(actor, user)
    return {
        "edit": not other or can(actor, Can.CREATE_USERS),
        "delete": other and can(actor, Can.DELETE_USERS),
        "block": ranks and can(actor, Can.BLOCK_USERS) and user.is_active,
        "unblock": ranks and can(actor, Can.BLOCK_USERS) and not user.is_active,
        "set_password": ranks and can(actor, Can.SET_PASSWORDS),
        "change_role": can(actor, Can.CHANGE_ROLES),
        "sign_out": not other or (ranks and can(actor, Can.REVOKE_TOKENS)),
        "audit": can(actor, Can.VIEW_AUDIT),
    }
