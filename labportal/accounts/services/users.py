"""Administration of accounts: who may do it stands in roles.py, and is asked here.

Pages and API call these verbs. Only admins administer an account of their own rank, and the last
admin who can sign in stays one.
"""

import zoneinfo
from collections.abc import Mapping
from typing import Any

from django.contrib.auth import password_validation
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError, RestrictedError

from labportal.accounts import signals
from labportal.accounts.models import User
from labportal.accounts.roles import Can, Role, outranks, require
from labportal.accounts.services import sessions
from labportal.common.errors import InvalidInput, NotAllowed, WrongMoment

PROFILE_FIELDS = frozenset(
    {
        "first_name",
        "last_name",
        "email",
        "time_zone",
        "colour_scheme",
        "notification_level",
        "notify_about_all",
    }
)


def create(
    *,
    username: str,
    password: str,
    actor: User,
    role: Role = Role.USER,
    email: str = "",
    first_name: str = "",
    last_name: str = "",
) -> User:
    require(actor, Can.CREATE_USERS)
    user = User(
        username=User.normalize_username(username.strip().lower()),
        role=Role(role),
        email=User.objects.normalize_email(email),
        first_name=first_name,
        last_name=last_name,
    )
    _check_password(password, user)
    user.set_password(password)
    _check_fields(user)
    try:
        with transaction.atomic():
            user.save()
            _tell(actor, "user.create", user, role=user.role)
    except IntegrityError:
        raise _taken() from None
    return user


def delete(user: User, *, actor: User) -> None:
    """Delete an account that has made nothing; whoever has calculations can only be blocked."""
    require(actor, Can.DELETE_USERS)
    if user.pk == actor.pk:
        raise NotAllowed("You cannot delete your own account.", code="oneself")
    with transaction.atomic():
        _keep_an_admin(user)
        _tell(actor, "user.delete", user)
        sessions.end_all(user)
        try:
            with transaction.atomic():
                user.delete()
        except (ProtectedError, RestrictedError) as problem:
            raise _has_work(user, problem) from None


def block(user: User, *, actor: User) -> User:
    """Refuse a person every further request, and end what they have open."""
    require(actor, Can.BLOCK_USERS)
    _check_rank(user, actor)
    with transaction.atomic():
        _keep_an_admin(user)
        User.objects.filter(pk=user.pk).update(is_active=False)
        user.is_active = False
        sessions.end_all(user)
        _tell(actor, "user.block", user)
    return user


def unblock(user: User, *, actor: User) -> User:
    require(actor, Can.BLOCK_USERS)
    _check_rank(user, actor)
    with transaction.atomic():
        User.objects.filter(pk=user.pk).update(is_active=True)
        user.is_active = True
        _tell(actor, "user.unblock", user)
    return user


def set_password(user: User, password: str, *, actor: User) -> User:
    """Give somebody else a new password and sign them out everywhere."""
    require(actor, Can.SET_PASSWORDS)
    _check_rank(user, actor, oneself="Change your own password on your profile.")
    _store_password(user, password)
    _tell(actor, "user.set-password", user)
    return user


def change_own_password(user: User, *, old: str, new: str) -> User:
    """Change one's own password; ends every session and token, this browser's too."""
    if not user.check_password(old):
        raise InvalidInput("This is not your present password.", field="old_password")
    _store_password(user, new, field="new_password")
    _tell(user, "user.change-password", user)
    return user


def change_role(user: User, role: Role, *, actor: User) -> User:
    require(actor, Can.CHANGE_ROLES)
    with transaction.atomic():
        if role != Role.ADMIN:
            _keep_an_admin(user)
        before = user.role
        user.role = Role(role)
        user.notify_about_all = user.notify_about_all and role == Role.ADMIN
        user.save(update_fields=["role", "notify_about_all"])
        _tell(actor, "user.change-role", user, before=before, after=user.role)
    return user


def change_profile(user: User, changes: Mapping[str, Any], *, actor: User) -> User:
    """Change name, address and preferences: one's own, or as an admin anybody's."""
    if user.pk != actor.pk:
        require(actor, Can.CREATE_USERS)
    unknown = set(changes) - PROFILE_FIELDS
    if unknown:
        raise InvalidInput(errors=dict.fromkeys(unknown, "This cannot be changed here."))
    for name, value in changes.items():
        setattr(user, name, value)
    if user.notify_about_all and user.role != Role.ADMIN:
        raise InvalidInput("Only admins can be told about everything.", field="notify_about_all")
    if user.time_zone not in zoneinfo.available_timezones():
        raise InvalidInput("This is not the name of a time zone.", field="time_zone")
    _check_fields(user)
    with transaction.atomic():
        user.save(update_fields=sorted(changes))
        if user.pk != actor.pk:
            _tell(actor, "user.change-profile", user, fields=sorted(changes))
    return user


def _store_password(user: User, password: str, *, field: str = "password") -> None:
    _check_password(password, user, field=field)
    with transaction.atomic():
        user.set_password(password)
        user.save(update_fields=["password"])
        sessions.end_all(user)


def _check_password(password: str, user: User, *, field: str = "password") -> None:
    try:
        password_validation.validate_password(password, user)
    except ValidationError as problem:
        raise InvalidInput(" ".join(problem.messages), field=field) from None


def _check_fields(user: User) -> None:
    """Let the model judge shapes (names, addresses, choices) and that the name is free."""
    try:
        user.full_clean(exclude=["password"], validate_constraints=False)
        if User.objects.filter(username__iexact=user.username).exclude(pk=user.pk).exists():
            raise _taken()
    except ValidationError as problem:
        errors = {name: " ".join(texts) for name, texts in problem.message_dict.items()}
        raise InvalidInput(errors=errors) from None


def _check_rank(
    user: User, actor: User, *, oneself: str = "You cannot do this to your own account."
) -> None:
    if user.pk == actor.pk:
        raise NotAllowed(oneself, code="oneself")
    if not outranks(actor, user):
        raise NotAllowed(
            f"{user.display_name} is {user.get_role_display().lower()}: only an admin may do this.",
            code="rank",
        )


def _keep_an_admin(user: User) -> None:
    """Refuse to take the last admin away; the lock makes two who try it at once queue up."""
    admins = list(
        User.objects.select_for_update()
        .filter(role=Role.ADMIN, is_active=True)
        .order_by("pk")
        .values_list("pk", flat=True)
    )
    if admins == [user.pk]:
        raise WrongMoment(
            f"{user.display_name} is the only admin. Make somebody else an admin first.",
            code="last-admin",
        )


def _has_work(user: User, problem: ProtectedError | RestrictedError) -> WrongMoment:
    objects = getattr(problem, "protected_objects", None) or problem.restricted_objects
    names = sorted({str(thing._meta.verbose_name_plural) for thing in objects})
    return WrongMoment(
        f"{user.display_name} has made {' and '.join(names)} that stay in the portal with their "
        "name. Block the account instead: it can then no longer sign in.",
        code="has-work",
    )


def _taken() -> InvalidInput:
    return InvalidInput("This name is taken.", field="username")


def _tell(actor: User, verb: str, user: User, **detail: Any) -> None:
    signals.acted.send(
        sender=User,
        actor=actor,
        verb=verb,
        target=f"user:{user.pk}",
        detail={"username": user.username, **detail},
    )
