"""Projects: who creates, changes and sees them, and who is in them."""

import pytest

from labportal.accounts.models import Membership, Project, ProjectRole, User
from labportal.accounts.services import projects
from labportal.audit.models import AuditEntry
from labportal.common.errors import InvalidInput, NotAllowed, NotFound, WrongMoment
from tests.factories import ProjectFactory, default_project


def role_of(user: User, project: Project) -> str | None:
    return (
        Membership.objects.filter(user=user, project=project).values_list("role", flat=True).first()
    )


def test_who_creates_a_project_manages_it(ada: User, eve: User) -> None:
    project = projects.create(name="Surface  chemistry", actor=ada, private=True)
    assert (project.name, project.slug) == ("Surface chemistry", "surface-chemistry")
    assert role_of(ada, project) == ProjectRole.MANAGER
    assert project not in Project.objects.visible_to(eve)
    assert AuditEntry.objects.get().verb == "project.create"


def test_names_are_taken_once_and_slugs_are_found(ada: User) -> None:
    projects.create(name="New", actor=ada)
    assert Project.objects.get(name="New").slug == "new-2"
    projects.create(name="new!", actor=ada)
    assert Project.objects.get(name="new!").slug == "new-3"
    assert projects.create(name="氷", actor=ada).slug == "project"
    with pytest.raises(InvalidInput, match="of this name"):
        projects.create(name="New", actor=ada)


def test_the_default_project_stays_open_and_there(root: User) -> None:
    with pytest.raises(InvalidInput):
        projects.change(default_project(), private=True, actor=root)
    with pytest.raises(WrongMoment):
        projects.delete(default_project(), actor=root)


@pytest.mark.parametrize("verb", ["change", "delete", "add", "take out"])
def test_managers_and_admins_change_a_project(
    ada: User, eve: User, max: User, root: User, verb: str
) -> None:
    def attempt(actor: User, project: Project) -> None:
        match verb:
            case "change":
                projects.change(project, description="x", actor=actor)
            case "delete":
                projects.delete(project, actor=actor)
            case "add":
                projects.set_member(project, username="max", actor=actor)
            case _:
                projects.remove_member(project, user_id=eve.pk, actor=actor)

    project = ProjectFactory(managers=[ada], members=[eve])
    refused = [max] if verb == "take out" else [max, eve]
    for actor in refused:
        with pytest.raises(NotAllowed):
            attempt(actor, project)
    attempt(ada, project)
    attempt(root, ProjectFactory(managers=[ada], members=[eve]))


def test_people_may_leave_but_not_the_last_manager(ada: User, eve: User) -> None:
    project = ProjectFactory(managers=[ada], members=[eve], private=True)
    projects.remove_member(project, user_id=eve.pk, actor=eve)
    assert role_of(eve, project) is None
    with pytest.raises(WrongMoment, match="only manager"):
        projects.remove_member(project, user_id=ada.pk, actor=ada)
    with pytest.raises(WrongMoment, match="only manager"):
        projects.set_member(project, username="ada", actor=ada)
    projects.set_member(project, username="EVE", role=ProjectRole.MANAGER, actor=ada)
    projects.remove_member(project, user_id=ada.pk, actor=ada)
    assert role_of(eve, project) == ProjectRole.MANAGER


def test_unknown_and_blocked_people_are_not_added(ada: User, eve: User) -> None:
    project = ProjectFactory(managers=[ada])
    User.objects.filter(pk=eve.pk).update(is_active=False)
    for name in ("nobody", "eve"):
        with pytest.raises(InvalidInput):
            projects.set_member(project, username=name, actor=ada)
    with pytest.raises(NotFound):
        projects.remove_member(project, user_id=eve.pk, actor=ada)
