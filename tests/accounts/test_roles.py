"""The table of roles, and who outranks whom."""

import pytest
from django.contrib.auth.models import AnonymousUser

from labportal.accounts.browsers import name_of
from labportal.accounts.models import Project, User
from labportal.accounts.roles import GRANTS, Can, Role, can, outranks, require
from labportal.common.errors import NotAllowed
from tests.factories import ProjectFactory, UserFactory, default_project

EXPECTED = {
    Role.USER: {
        Can.SIGN_IN,
        Can.CREATE_CALCULATION,
        Can.VALIDATE,
        Can.REGISTER_MODEL,
        Can.CALL_MODEL,
    },
    Role.MODERATOR: {
        Can.SIGN_IN,
        Can.CREATE_CALCULATION,
        Can.VALIDATE,
        Can.REGISTER_MODEL,
        Can.CALL_MODEL,
        Can.APPROVE_MODEL,
        Can.MANAGE_MODELS,
        Can.REVIEW,
        Can.PRIORITISE,
        Can.RETRACT,
        Can.VIEW_STORAGE,
        Can.VIEW_USAGE,
        Can.MANAGE_PSEUDOPOTENTIALS,
        Can.VIEW_ALL_PROJECTS,
        Can.VIEW_USERS,
        Can.BLOCK_USERS,
        Can.SET_PASSWORDS,
        Can.VIEW_AUDIT,
    },
    Role.ADMIN: set(Can),
}


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("verb", list(Can))
def test_each_role_may_do_what_the_table_says(role: Role, verb: Can) -> None:
    user = User(username="somebody", role=role)
    assert can(user, verb) is (verb in EXPECTED[role])
    assert (verb in GRANTS[role]) is (verb in EXPECTED[role])


@pytest.mark.parametrize("verb", list(Can))
def test_nobody_and_the_blocked_may_do_nothing(verb: Can) -> None:
    assert not can(AnonymousUser(), verb)
    assert not can(None, verb)
    assert not can(User(username="root", role=Role.ADMIN, is_active=False), verb)


def test_require_names_what_is_not_allowed() -> None:
    with pytest.raises(NotAllowed, match="delete users"):
        require(User(username="ada"), Can.DELETE_USERS)


def test_moderators_administer_plain_users_only() -> None:
    moderator, admin = User(role=Role.MODERATOR), User(role=Role.ADMIN)
    assert outranks(moderator, User(role=Role.USER))
    assert not outranks(moderator, User(role=Role.MODERATOR))
    assert not outranks(moderator, admin)
    assert outranks(admin, User(role=Role.ADMIN))
    assert not outranks(User(role=Role.USER), User(role=Role.USER))


def test_a_private_project_is_seen_by_members_moderators_and_admins(
    ada: User, max: User, root: User, eve: User
) -> None:
    private = ProjectFactory(private=True, members=[ada])
    for person in (ada, max, root):
        assert private in Project.objects.visible_to(person)
    assert private not in Project.objects.visible_to(eve)
    assert not Project.objects.visible_to(AnonymousUser()).exists()


def test_everybody_sees_the_default_project_but_the_blocked(eve: User) -> None:
    assert default_project() in Project.objects.visible_to(eve)
    eve.is_active = False
    assert not Project.objects.visible_to(eve).exists()


def test_a_member_of_many_projects_sees_each_once(ada: User) -> None:
    ProjectFactory(members=[ada, UserFactory()], private=True)
    seen = list(Project.objects.visible_to(ada))
    assert len(seen) == len(set(seen)) == 2


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            "Firefox on Linux",
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 "
            "Safari/537.36 Edg/140.0",
            "Edge on Windows",
        ),
        ("sweep.py/1.2 (python)", "sweep.py/1.2"),
        ("", "unnamed"),
        (" ", "unnamed"),
    ],
)
def test_browsers_and_programs_have_names(header: str, name: str) -> None:
    assert name_of(header) == name


def test_names_are_the_same_whatever_the_capitals(ada: User) -> None:
    assert User.objects.get_by_natural_key("ADA") == ada
