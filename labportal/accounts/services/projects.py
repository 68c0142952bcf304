"""Projects and their members. Whoever creates a project manages it; admins manage every one."""

from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import ProtectedError, RestrictedError
from django.utils.text import slugify

from labportal.accounts import signals
from labportal.accounts.models import Membership, Project, ProjectRole, User
from labportal.accounts.roles import Can, can, require
from labportal.common.errors import InvalidInput, NotAllowed, NotFound, WrongMoment

UNCHANGED = -1


def may_manage(user: User, project: Project) -> bool:
    if can(user, Can.MANAGE_PROJECTS):
        return True
    return (
        can(user, Can.SIGN_IN)
        and project.memberships.filter(user=user, role=ProjectRole.MANAGER).exists()
    )


def create(
    *,
    name: str,
    actor: User,
    description: str = "",
    private: bool = False,
    retention_days: int | None = None,
) -> Project:
    """Create a project that `actor` manages."""
    require(actor, Can.CREATE_CALCULATION)
    project = Project(
        name=_name(name),
        slug=_free_slug(name),
        description=description.strip(),
        private=private,
        retention_days=retention_days,
    )
    try:
        with transaction.atomic():
            project.save()
            Membership.objects.create(project=project, user=actor, role=ProjectRole.MANAGER)
            _tell(actor, "project.create", project, private=private)
    except IntegrityError:
        raise _taken() from None
    return project


def change(
    project: Project,
    *,
    actor: User,
    name: str | None = None,
    description: str | None = None,
    private: bool | None = None,
    retention_days: int | None = UNCHANGED,
) -> Project:
    """Change what is not None. The slug stays: addresses keep working.

    `retention_days` None: as long as the lab's settings say.
    """
    require_manager(actor, project)
    if name is not None:
        project.name = _name(name)
    if description is not None:
        project.description = description.strip()
    if private is not None:
        if private and project.is_default:
            raise InvalidInput("The lab's default project stays open.", field="private")
        project.private = private
    if retention_days != UNCHANGED:
        project.retention_days = retention_days
    try:
        with transaction.atomic():
            project.save(update_fields=["name", "description", "private", "retention_days"])
            detail = {"private": project.private, "retention_days": project.retention_days}
            _tell(actor, "project.change", project, **detail)
    except IntegrityError:
        raise _taken() from None
    return project


def delete(project: Project, *, actor: User) -> None:
    """Delete a project that holds nothing."""
    require_manager(actor, project)
    if project.is_default:
        raise WrongMoment("The lab's default project cannot be deleted.", code="default-project")
    with transaction.atomic():
        _tell(actor, "project.delete", project)
        try:
            with transaction.atomic():
                project.delete()
        except (ProtectedError, RestrictedError):
            raise WrongMoment(
                f"{project.name} still holds calculations or structures. Delete them first.",
                code="not-empty",
            ) from None


def set_member(
    project: Project, *, username: str, actor: User, role: ProjectRole = ProjectRole.MEMBER
) -> Membership:
    """Add a person by the name that they sign in with, or change what they are in the project."""
    require_manager(actor, project)
    person = User.objects.filter(username__iexact=username.strip(), is_active=True).first()
    if person is None:
        raise InvalidInput("Nobody signs in with this name.", field="username")
    with transaction.atomic():
        present = _locked_members(project).get(person.pk)
        if present and present.role == ProjectRole.MANAGER and role != ProjectRole.MANAGER:
            _keep_a_manager(project, person)
        member, _ = Membership.objects.update_or_create(
            project=project, user=person, defaults={"role": ProjectRole(role)}
        )
        _tell(actor, "project.set-member", project, member=person.username, role=member.role)
    return member


def remove_member(project: Project, *, user_id: int, actor: User) -> None:
    """Take a person out; people may leave by themselves."""
    if user_id != actor.pk:
        require_manager(actor, project)
    with transaction.atomic():
        member = _locked_members(project).get(user_id)
        if member is None:
            raise NotFound("This person is not in the project.", code="no-member")
        if member.role == ProjectRole.MANAGER:
            _keep_a_manager(project, member.user)
        member.delete()
        _tell(actor, "project.remove-member", project, member=member.user.username)


def _locked_members(project: Project) -> dict[int, Membership]:
    """Lock the project, so that its last two managers cannot leave at once; return its members."""
    Project.objects.select_for_update().get(pk=project.pk)
    return {member.user_id: member for member in project.memberships.select_related("user")}


def _keep_a_manager(project: Project, leaving: User) -> None:
    others = project.memberships.filter(role=ProjectRole.MANAGER).exclude(user=leaving)
    if not others.exists():
        raise WrongMoment(
            f"{leaving.display_name} is the only manager of {project.name}. Name another first.",
            code="last-manager",
        )


def require_manager(actor: User, project: Project) -> None:
    """Raise NotAllowed unless `actor` manages the project."""
    if not may_manage(actor, project):
        raise NotAllowed(
            f"Only managers of {project.name} and admins may do this.", code="not-manager"
        )


def _name(name: str) -> str:
    name = " ".join(name.split())
    if not name:
        raise InvalidInput("A project needs a name.", field="name")
    return name


def _free_slug(name: str) -> str:
    base = slugify(name)[:120] or "project"
    # "new" is the address of the form.
    taken = {"new"} | set(
        Project.objects.filter(slug__startswith=base).values_list("slug", flat=True)
    )
    number = 1
    while (slug := base if number == 1 else f"{base}-{number}") in taken:
        number += 1
    return slug


def _taken() -> InvalidInput:
    return InvalidInput("There is a project of this name.", field="name")


def _tell(actor: User, verb: str, project: Project, **detail: Any) -> None:
    signals.acted.send(
        sender=Project,
        actor=actor,
        verb=verb,
        target=f"project:{project.pk}",
        detail={"name": project.name, **detail},
    )
