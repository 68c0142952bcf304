"""Administration of accounts: who may do what to whom, and what it ends."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, models

from labportal.accounts.models import User
from labportal.accounts.roles import Role
from labportal.accounts.services import sessions, users
from labportal.audit.models import AuditEntry
from labportal.common.errors import InvalidInput, NotAllowed, WrongMoment
from tests.factories import PASSWORD, UserFactory

NEW = "entirely other words"


def verbs() -> list[str]:
    return list(AuditEntry.objects.order_by("id").values_list("verb", flat=True))


def test_an_admin_creates_a_user(root: User) -> None:
    made = users.create(username=" Bob ", password=NEW, actor=root, role=Role.MODERATOR)
    assert (made.username, made.role, made.is_active) == ("bob", "moderator", True)
    assert made.check_password(NEW)
    entry = AuditEntry.objects.get()
    assert (entry.verb, entry.actor_name, entry.target) == (
        "user.create",
        "root",
        f"user:{made.pk}",
    )
    assert NEW not in str(entry.detail)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"username": "ada"}, "username"),
        ({"username": "ADA"}, "username"),
        ({"username": "two words"}, "username"),
        ({"username": ""}, "username"),
        ({"password": "short"}, "password"),
        ({"password": "1234567890123"}, "password"),
        ({"email": "not an address"}, "email"),
    ],
)
def test_what_does_not_fit_is_named_by_field(
    root: User, ada: User, given: dict[str, str], field: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        users.create(**{"username": "bob", "password": NEW, **given}, actor=root)
    assert field in refused.value.errors
    assert not verbs()


ADMINISTRATION: dict[str, Callable[[User, User], Any]] = {
    "block": lambda other, actor: users.block(other, actor=actor),
    "unblock": lambda other, actor: users.unblock(other, actor=actor),
    "set_password": lambda other, actor: users.set_password(other, NEW, actor=actor),
    "delete": lambda other, actor: users.delete(other, actor=actor),
    "change_role": lambda other, actor: users.change_role(other, Role.USER, actor=actor),
    "profile": lambda other, actor: users.change_profile(other, {"first_name": "X"}, actor=actor),
    "sign_out": lambda other, actor: sessions.sign_out_everywhere(other, actor=actor),
    "create": lambda other, actor: users.create(username="bob", password=NEW, actor=actor),
}
MAY = {
    (Role.MODERATOR, Role.USER): {"block", "unblock", "set_password"},
    **{(Role.ADMIN, other): set(ADMINISTRATION) for other in Role},
}


@pytest.mark.parametrize("actor_role", list(Role))
@pytest.mark.parametrize("other_role", list(Role))
@pytest.mark.parametrize("verb", list(ADMINISTRATION))
def test_rank_and_role_decide(db: None, actor_role: Role, other_role: Role, verb: str) -> None:
    actor, other = UserFactory(role=actor_role), UserFactory(role=other_role)
    UserFactory(role=Role.ADMIN)
    if verb in MAY.get((actor_role, other_role), set()):
        ADMINISTRATION[verb](other, actor)
        assert len(verbs()) == 1
    else:
        with pytest.raises(NotAllowed):
            ADMINISTRATION[verb](other, actor)
        assert not verbs()


@pytest.mark.parametrize("verb", ["block", "unblock", "set_password", "delete"])
def test_nobody_does_this_to_oneself(root: User, verb: str) -> None:
    UserFactory(role=Role.ADMIN)
    with pytest.raises(NotAllowed):
        ADMINISTRATION[verb](root, root)


def test_the_last_admin_stays_one(root: User, max: User) -> None:
    with pytest.raises(WrongMoment, match="only admin"):
        users.change_role(root, Role.USER, actor=root)
    other = UserFactory(role=Role.ADMIN)
    users.block(other, actor=root)
    with pytest.raises(WrongMoment, match="only admin"):
        users.change_role(root, Role.MODERATOR, actor=root)
    root.refresh_from_db()
    assert root.role == Role.ADMIN


@pytest.mark.django_db(transaction=True)
def test_two_admins_cannot_unmake_each_other_at_once() -> None:
    admins = [UserFactory(role=Role.ADMIN), UserFactory(role=Role.ADMIN)]
    barrier = threading.Barrier(2)
    refused: list[Exception] = []

    def unmake(actor: User, other: User) -> None:
        barrier.wait()
        try:
            users.change_role(User.objects.get(pk=other.pk), Role.USER, actor=actor)
        except WrongMoment as problem:
            refused.append(problem)
        finally:
            connection.close()

    threads = [threading.Thread(target=unmake, args=pair) for pair in (admins, reversed(admins))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 1
    assert User.objects.filter(role=Role.ADMIN).count() == 1


def test_who_has_made_something_can_only_be_blocked(
    root: User, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def protected(self: User) -> None:
        raise models.ProtectedError("", {User.objects.get(pk=ada.pk)})

    monkeypatch.setattr(User, "delete", protected)
    with pytest.raises(WrongMoment, match="Block the account instead") as refused:
        users.delete(ada, actor=root)
    assert refused.value.code == "has-work"
    ada.refresh_from_db()
    assert ada.sign_out_epoch == 0
    assert not verbs()


def test_a_deleted_account_keeps_its_trail(root: User, ada: User) -> None:
    key = ada.pk
    users.delete(ada, actor=root)
    assert not User.objects.filter(pk=key).exists()
    entry = AuditEntry.objects.get()
    assert (entry.verb, entry.target, entry.detail) == (
        "user.delete",
        f"user:{key}",
        {"username": "ada"},
    )


def test_one_changes_ones_password_with_the_old_one(ada: User) -> None:
    with pytest.raises(InvalidInput) as refused:
        users.change_own_password(ada, old="wrong", new=NEW)
    assert set(refused.value.errors) == {"old_password"}
    users.change_own_password(ada, old=PASSWORD, new=NEW)
    ada.refresh_from_db()
    assert ada.check_password(NEW) and ada.sign_out_epoch == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"time_zone": "Mars/Olympus"},
        {"colour_scheme": "pink"},
        {"notification_level": "loud"},
        {"notify_about_all": True},
        {"email": "nonsense"},
        {"role": "admin"},
        {"is_active": False},
        {"sign_out_epoch": 3},
    ],
)
def test_a_profile_refuses_what_is_not_its_own(ada: User, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as refused:
        users.change_profile(ada, changes, actor=ada)
    assert set(refused.value.errors) == set(changes)


def test_an_admin_who_becomes_a_user_is_told_less(root: User) -> None:
    other = UserFactory(role=Role.ADMIN, notify_about_all=True)
    users.change_role(other, Role.USER, actor=root)
    other.refresh_from_db()
    assert not other.notify_about_all


def test_names_are_short_in_lists() -> None:
    assert User(username="ada", first_name="Ada", last_name="Lovelace").display_name == "Ada L."
    assert User(username="ada").display_name == "ada"
    assert User(username="ada", first_name="Ada", last_name="Lovelace").initials == "AL"
