"""The page of users: who there is, and what may be done to their accounts."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from labportal.accounts import selectors
from labportal.accounts.decorators import needs
from labportal.accounts.forms import PasswordForm, PersonForm, RoleForm, UserForm
from labportal.accounts.models import User
from labportal.accounts.paging import page_of
from labportal.accounts.roles import Can, Role, can
from labportal.accounts.services import sessions, users
from labportal.accounts.views import submit
from labportal.common.errors import WrongMoment


@require_safe
@needs(Can.VIEW_USERS)
def user_list(request: HttpRequest) -> HttpResponse:
    text = request.GET.get("text", "")[:100].replace("\0", "")
    people = selectors.users_for(request.user, text=text)
    chosen = request.GET.get("show", "")
    if chosen == "blocked":
        people = people.filter(is_active=False)
    elif chosen in Role.values:
        people = people.filter(role=chosen)
    context = {
        "page": page_of(people, request, field="username", descending=False),
        "text": text,
        "chips": _chips(chosen, text),
        "may_create": can(request.user, Can.CREATE_USERS),
    }
    return render(request, "accounts/user_list.html", context)


def _chips(chosen: str, text: str) -> list[dict[str, object]]:
    suffix = f"&text={text}" if text else ""
    options = [*Role.choices, ("blocked", "Blocked")]
    return [
        {
            "label": f"{label}s" if value in Role.values else label,
            "url": f"?{suffix.lstrip('&')}" if value == chosen else f"?show={value}{suffix}",
            "current": value == chosen,
        }
        for value, label in options
    ]


@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
@needs(Can.CREATE_USERS)
def user_create(request: HttpRequest) -> HttpResponse:
    form = UserForm(request.POST or None)
    made: list[User] = []
    if request.method == "POST" and submit(
        form, lambda data: made.append(users.create(**data, actor=request.user))
    ):
        messages.success(request, f"{made[0].username} can now sign in.")
        return redirect("user-detail", made[0].pk)
    status = 400 if request.method == "POST" else 200
    return render(request, "accounts/user_create.html", {"form": form}, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@needs()
def user_detail(request: HttpRequest, user_id: int) -> HttpResponse:
    """Show an account; POST changes its name and address."""
    person = _person(request, user_id)
    if request.method != "POST":
        return _page(request, person)
    form = PersonForm(request.POST)
    if submit(form, lambda data: users.change_profile(person, data, actor=request.user)):
        messages.success(request, "Saved.")
        return redirect("user-detail", person.pk)
    return _page(request, person, person_form=form, status=400)


@require_POST
@needs(Can.CHANGE_ROLES)
def user_role(request: HttpRequest, user_id: int) -> HttpResponse:
    person = _person(request, user_id)
    form = RoleForm(request.POST)
    if submit(form, lambda data: users.change_role(person, Role(data["role"]), actor=request.user)):
        role = person.get_role_display().lower()
        messages.success(request, f"{person.display_name} is now {role}.")
        return redirect("user-detail", person.pk)
    return _page(request, person, role_form=form, status=400)


@sensitive_post_parameters("password")
@require_POST
@needs(Can.SET_PASSWORDS)
def user_password(request: HttpRequest, user_id: int) -> HttpResponse:
    person = _person(request, user_id)
    form = PasswordForm(request.POST)
    if submit(form, lambda data: users.set_password(person, data["password"], actor=request.user)):
        messages.success(
            request, f"{person.display_name} has a new password and was signed out everywhere."
        )
        return redirect("user-detail", person.pk)
    return _page(request, person, password_form=form, status=400)


@require_POST
@needs(Can.BLOCK_USERS)
def user_block(request: HttpRequest, user_id: int) -> HttpResponse:
    person = users.block(_person(request, user_id), actor=request.user)
    messages.success(request, f"{person.display_name} is blocked.")
    return redirect("user-detail", person.pk)


@require_POST
@needs(Can.BLOCK_USERS)
def user_unblock(request: HttpRequest, user_id: int) -> HttpResponse:
    person = users.unblock(_person(request, user_id), actor=request.user)
    messages.success(request, f"{person.display_name} can sign in again.")
    return redirect("user-detail", person.pk)


@require_POST
@needs(Can.REVOKE_TOKENS)
def user_sign_out(request: HttpRequest, user_id: int) -> HttpResponse:
    person = sessions.sign_out_everywhere(_person(request, user_id), actor=request.user)
    messages.success(request, f"{person.display_name} is signed out everywhere.")
    return redirect("user-detail", person.pk)


@require_POST
@needs(Can.DELETE_USERS)
def user_delete(request: HttpRequest, user_id: int) -> HttpResponse:
    """Delete an account; where its work keeps it, explain and offer to block it."""
    person = _person(request, user_id)
    name = person.display_name
    try:
        users.delete(person, actor=request.user)
    except WrongMoment as problem:
        return _page(request, person, refusal=problem.message, status=problem.status)
    messages.success(request, f"The account of {name} is deleted.")
    return redirect("user-list")


def _person(request: HttpRequest, user_id: int) -> User:
    return get_object_or_404(selectors.users_for(request.user), pk=user_id)


def _page(
    request: HttpRequest, person: User, *, status: int = 200, **given: object
) -> HttpResponse:
    context = {
        "person": person,
        "verbs": selectors.verbs_for(request.user, person),
        "projects": selectors.projects_for(request.user).filter(memberships__user=person),
        "person_form": PersonForm(
            initial={
                "first_name": person.first_name,
                "last_name": person.last_name,
                "email": person.email,
            }
        ),
        "role_form": RoleForm(initial={"role": person.role}),
        "password_form": PasswordForm(),
        **given,
    }
    return render(request, "accounts/user_detail.html", context, status=status)
