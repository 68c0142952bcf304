"""The pages of projects: which there are, who is in them, open or private."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from labportal.accounts import selectors
from labportal.accounts.decorators import needs
from labportal.accounts.forms import MemberForm, ProjectForm
from labportal.accounts.models import Project, ProjectRole
from labportal.accounts.paging import page_of
from labportal.accounts.roles import Can
from labportal.accounts.services import projects
from labportal.accounts.views import submit


@require_safe
@needs()
def project_list(request: HttpRequest) -> HttpResponse:
    text = request.GET.get("text", "")[:100].replace("\0", "")
    found = selectors.projects_for(request.user, text=text)
    context = {
        "page": page_of(found, request, field="name", descending=False),
        "text": text,
        "mine": set(request.user.memberships.values_list("project_id", flat=True)),
    }
    return render(request, "accounts/project_list.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@needs(Can.CREATE_CALCULATION)
def project_create(request: HttpRequest) -> HttpResponse:
    form = ProjectForm(request.POST or None)
    made: list[Project] = []
    if request.method == "POST" and submit(
        form, lambda data: made.append(projects.create(**data, actor=request.user))
    ):
        messages.success(request, f"{made[0].name} is there. You manage it.")
        return redirect("project-detail", made[0].slug)
    status = 400 if request.method == "POST" else 200
    return render(request, "accounts/project_create.html", {"form": form}, status=status)


@require_safe
@needs()
def project_detail(request: HttpRequest, slug: str) -> HttpResponse:
    return _page(request, _project(request, slug))


@require_POST
@needs()
def project_edit(request: HttpRequest, slug: str) -> HttpResponse:
    project = _project(request, slug)
    projects.require_manager(request.user, project)
    form = ProjectForm(request.POST)
    if submit(form, lambda data: projects.change(project, **data, actor=request.user)):
        messages.success(request, "Saved.")
        return redirect("project-detail", project.slug)
    project.refresh_from_db()
    return _page(request, project, form=form, status=400)


@require_POST
@needs()
def project_delete(request: HttpRequest, slug: str) -> HttpResponse:
    project = _project(request, slug)
    projects.delete(project, actor=request.user)
    messages.success(request, f"{project.name} is deleted.")
    return redirect("project-list")


@require_POST
@needs()
def project_member(request: HttpRequest, slug: str) -> HttpResponse:
    """Add a member, or change what they are."""
    project = _project(request, slug)
    projects.require_manager(request.user, project)
    form = MemberForm(request.POST)
    if submit(
        form,
        lambda data: projects.set_member(
            project,
            username=data["username"],
            role=ProjectRole(data["role"]),
            actor=request.user,
        ),
    ):
        messages.success(request, "Saved.")
        return redirect("project-detail", project.slug)
    return _page(request, project, member_form=form, status=400)


@require_POST
@needs()
def project_member_remove(request: HttpRequest, slug: str, user_id: int) -> HttpResponse:
    project = _project(request, slug)
    projects.remove_member(project, user_id=user_id, actor=request.user)
    messages.success(request, "Taken out of the project.")
    if Project.objects.visible_to(request.user).filter(pk=project.pk).exists():
        return redirect("project-detail", project.slug)
    return redirect("project-list")


def _project(request: HttpRequest, slug: str) -> Project:
    return get_object_or_404(Project.objects.visible_to(request.user), slug=slug)


def _page(
    request: HttpRequest, project: Project, *, status: int = 200, **given: object
) -> HttpResponse:
    initial = {
        "name": project.name,
        "description": project.description,
        "private": project.private,
        "retention_days": project.retention_days,
    }
    context = {
        "project": project,
        "members": project.memberships.select_related("user"),
        "may_manage": projects.may_manage(request.user, project),
        "form": ProjectForm(initial=initial),
        "member_form": MemberForm(),
        **given,
    }
    return render(request, "accounts/project_detail.html", context, status=status)
