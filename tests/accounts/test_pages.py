"""The pages of people and projects, as a browser without JavaScript uses them."""

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from labportal.accounts.models import BrowserSession, Project, RefreshGrant, User
from labportal.accounts.roles import Role
from tests.factories import PASSWORD, ProjectFactory, UserFactory, default_project

NEW = "entirely other words"


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def sign_in(client: Client, **data: str) -> Any:
    return client.post("/sign-in/", {"username": "ada", "password": PASSWORD, **data})


def test_sign_in_asks_for_a_name_and_a_password_and_nothing_else(db: None, client: Client) -> None:
    page = client.get("/sign-in/").content.decode()
    assert page.count("<input") - page.count('type="hidden"') == 2
    assert "Sign in" in page


def test_signing_in_leads_to_where_one_wanted(ada: User, client: Client) -> None:
    assert sign_in(client, next="/profile/")["Location"] == "/profile/"
    assert client.get("/profile/").status_code == 200
    assert client.get("/sign-in/")["Location"] == "/"


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "/\\evil.example"])
def test_signing_in_leads_nowhere_else(ada: User, client: Client, target: str) -> None:
    assert sign_in(client, next=target)["Location"] == "/"


@pytest.mark.parametrize("data", [{"password": "wrong"}, {"username": "nobody"}])
def test_the_page_says_the_same_sentence(ada: User, client: Client, data: dict[str, str]) -> None:
    response = sign_in(client, **data)
    assert response.status_code == 400
    assert "do not belong together" in response.content.decode()
    assert PASSWORD not in response.content.decode()


def test_a_locked_page_says_until_when(ada: User, client: Client) -> None:
    for _ in range(5):
        response = sign_in(client, password="wrong")
    assert response.status_code == 429
    assert "locked until" in response.content.decode()
    assert "locked until" in sign_in(client).content.decode()


def test_a_new_session_at_sign_in(ada: User, client: Client) -> None:
    client.get("/sign-in/")
    session = client.session
    session["planted"] = 1
    session.save()
    before = session.session_key
    sign_in(client)
    assert client.session.session_key != before


def test_signing_out_needs_a_post_and_ends_the_session(ada: User) -> None:
    client = browser(ada)
    assert client.get("/sign-out/").status_code == 405
    assert client.post("/sign-out/")["Location"] == "/sign-in/"
    assert client.get("/profile/").status_code == 302
    assert not BrowserSession.objects.exists()


def test_forms_without_the_csrf_token_are_refused(ada: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(ada)
    for path in ("/sign-in/", "/sign-out/", "/profile/", "/colour-scheme/"):
        assert client.post(path).status_code == 403
    assert client.patch("/api/v1/me", "{}", content_type="application/json").status_code == 403


def test_a_blocked_person_is_out_at_the_next_click(ada: User, max: User) -> None:
    client = browser(ada)
    assert browser(max).post(f"/users/{ada.pk}/block/").status_code == 302
    assert client.get("/profile/")["Location"].startswith("/sign-in/")
    assert client.get("/api/v1/me").status_code == 401


def test_the_list_finds_people_by_name_role_and_block(max: User, root: User) -> None:
    UserFactory(username="grace", first_name="Grace", last_name="Hopper")
    UserFactory(username="idle", is_active=False)
    client = browser(max)
    found = client.get("/users/?text=hopp").content.decode()
    assert "Grace H." in found and "idle" not in found
    assert "idle" in client.get("/users/?show=blocked").content.decode()
    admins = client.get("/users/?show=admin").content.decode()
    assert "root" in admins and "grace" not in admins


def test_the_list_pages_by_fifty(max: User) -> None:
    for number in range(60):
        UserFactory(username=f"u{number:02}")
    client = browser(max)
    first = client.get("/users/")
    assert len(first.context["page"].rows) == 50 and not first.context["page"].newer_url
    second = client.get(first.context["page"].older_url)
    assert len(second.context["page"].rows) == 11 and second.context["page"].newer_url


@pytest.mark.parametrize("rows", [10, 45])
def test_the_list_costs_the_same_whatever_its_length(
    max: User, rows: int, django_assert_max_num_queries: Any
) -> None:
    for _ in range(rows):
        UserFactory()
    client = browser(max)
    client.get("/users/")
    with django_assert_max_num_queries(8):
        client.get("/users/")


def test_pages_offer_the_verbs_of_the_role(ada: User, max: User, root: User) -> None:
    path = f"/users/{ada.pk}/"
    for_moderator = browser(max).get(path).content.decode()
    assert f"{path}block/" in for_moderator and f"{path}password/" in for_moderator
    assert f"{path}delete/" not in for_moderator and f"{path}role/" not in for_moderator
    for_admin = browser(root).get(path).content.decode()
    for verb in ("block", "password", "delete", "role", "sign-out", "audit"):
        assert f"{path}{verb}/" in for_admin
    assert f"/users/{root.pk}/block/" not in browser(max).get(f"/users/{root.pk}/").content.decode()


def test_an_admin_creates_an_account_by_the_form(root: User) -> None:
    client = browser(root)
    data = {"username": "bob", "password": "short", "role": "user"}
    refused = client.post("/users/new/", data)
    assert refused.status_code == 400 and "too short" in refused.content.decode()
    response = client.post("/users/new/", {**data, "password": NEW})
    made = User.objects.get(username="bob")
    assert response["Location"] == f"/users/{made.pk}/"
    assert Client().post("/sign-in/", {"username": "Bob", "password": NEW}).status_code == 302


def test_an_admin_changes_role_name_and_password(root: User, ada: User) -> None:
    client = browser(root)
    assert client.post(f"/users/{ada.pk}/role/", {"role": "moderator"}).status_code == 302
    assert client.post(f"/users/{ada.pk}/", {"first_name": "Ada"}).status_code == 302
    assert client.post(f"/users/{ada.pk}/password/", {"password": NEW}).status_code == 302
    ada.refresh_from_db()
    assert (ada.role, ada.first_name) == (Role.MODERATOR, "Ada")
    assert ada.check_password(NEW)


def test_deleting_explains_what_keeps_the_account(
    root: User, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db.models import ProtectedError

    def protected(self: User) -> None:
        raise ProtectedError("", {User.objects.get(pk=ada.pk)})

    client = browser(root)
    with monkeypatch.context() as patched:
        patched.setattr(User, "delete", protected)
        response = client.post(f"/users/{ada.pk}/delete/")
    assert response.status_code == 409
    assert "Block the account instead" in response.content.decode()
    assert client.post(f"/users/{ada.pk}/delete/")["Location"] == "/users/"
    assert not User.objects.filter(pk=ada.pk).exists()


def test_the_profile_saves_preferences(ada: User, root: User) -> None:
    data = {
        "first_name": "Ada",
        "last_name": "Lovelace",
        "email": "ada@lab.example",
        "notification_level": "error",
        "time_zone": "Europe/Berlin",
        "colour_scheme": "dark",
        "notify_about_all": "on",
    }
    client = browser(ada)
    assert client.post("/profile/", data).status_code == 302
    ada.refresh_from_db()
    assert (ada.display_name, ada.time_zone, ada.notify_about_all) == (
        "Ada L.",
        "Europe/Berlin",
        False,
    )
    assert 'data-bs-theme="dark"' in client.get("/profile/").content.decode()
    assert browser(root).post("/profile/", data).status_code == 302
    root.refresh_from_db()
    assert root.notify_about_all
    refused = client.post("/profile/", {**data, "time_zone": "Mars"})
    assert refused.status_code == 400


def test_the_colour_scheme_returns_to_the_page(ada: User) -> None:
    client = browser(ada)
    data = {"colour_scheme": "light", "next": "/projects/"}
    assert client.post("/colour-scheme/", data)["Location"] == "/projects/"
    ada.refresh_from_db()
    assert ada.colour_scheme == "light"


def test_a_new_password_keeps_this_browser_and_ends_the_others(ada: User) -> None:
    here, there = browser(ada), browser(ada)
    data = {"old_password": PASSWORD, "new_password": NEW}
    assert here.post("/profile/password/", {**data, "old_password": "x"}).status_code == 400
    assert here.post("/profile/password/", data).status_code == 302
    assert here.get("/profile/").status_code == 200
    assert there.get("/profile/").status_code == 302
    assert BrowserSession.objects.filter(user=ada).count() == 1


def test_browsers_are_listed_and_signed_out_one_by_one(ada: User, eve: User) -> None:
    here, there, other = browser(ada), browser(ada), browser(eve)
    page = here.get("/profile/")
    assert len(page.context["browsers"]) == 2
    row = BrowserSession.objects.get(session_key=there.session.session_key)
    assert other.post(f"/profile/browsers/{row.pk}/revoke/").status_code == 404
    assert there.get("/profile/").status_code == 200
    assert here.post(f"/profile/browsers/{row.pk}/revoke/").status_code == 302
    assert there.get("/profile/").status_code == 302
    assert here.get("/profile/").status_code == 200


def test_programs_are_listed_and_revoked(ada: User, eve: User) -> None:
    program = Client()
    program.post(
        "/api/v1/auth/token",
        {"username": "ada", "password": PASSWORD},
        content_type="application/json",
        headers={"User-Agent": "sweep.py"},
    )
    client = browser(ada)
    assert "sweep.py" in client.get("/profile/").content.decode()
    grant = RefreshGrant.objects.get()
    assert browser(eve).post(f"/profile/programs/{grant.pk}/revoke/").status_code == 404
    assert client.post(f"/profile/programs/{grant.pk}/revoke/").status_code == 302
    assert program.post("/api/v1/auth/refresh").status_code == 401
    assert "sweep.py" not in client.get("/profile/").content.decode()


def test_signing_out_everywhere_ends_this_browser_too(ada: User) -> None:
    here, there = browser(ada), browser(ada)
    assert here.post("/profile/sign-out-everywhere/")["Location"] == "/sign-in/"
    assert here.get("/profile/").status_code == there.get("/profile/").status_code == 302


def test_being_seen_is_noted_once_a_minute(ada: User) -> None:
    client = browser(ada)
    client.get("/profile/")
    ada.refresh_from_db()
    first = ada.last_seen_at
    assert first is not None and (timezone.now() - first).total_seconds() < 60
    client.get("/profile/")
    ada.refresh_from_db()
    assert ada.last_seen_at == first


def test_projects_are_listed_as_far_as_one_may_see(ada: User, eve: User, max: User) -> None:
    ProjectFactory(name="Secret", slug="secret", private=True, members=[ada])
    for person, sees in ((ada, True), (max, True), (eve, False)):
        client = browser(person)
        assert ("Secret" in client.get("/projects/").content.decode()) is sees
        assert client.get("/projects/secret/").status_code == (200 if sees else 404)


def test_a_project_by_the_forms(ada: User, eve: User) -> None:
    client = browser(ada)
    made = client.post("/projects/new/", {"name": "Gold", "private": "on"})
    assert made["Location"] == "/projects/gold/"
    assert client.post("/projects/new/", {"name": "Gold"}).status_code == 400
    assert (
        client.post("/projects/gold/members/", {"username": "eve", "role": "member"}).status_code
        == 302
    )
    refused = client.post("/projects/gold/members/", {"username": "x", "role": "member"})
    assert refused.status_code == 400 and "Nobody signs in" in refused.content.decode()
    assert browser(eve).post("/projects/gold/edit/", {"name": "Mine"}).status_code == 403
    assert browser(eve).get("/projects/gold/").status_code == 200
    edited = client.post("/projects/gold/edit/", {"name": "Gold(111)", "private": "on"})
    assert edited.status_code == 302
    left = browser(eve).post(f"/projects/gold/members/{eve.pk}/remove/")
    assert left["Location"] == "/projects/"
    assert client.post("/projects/gold/delete/").status_code == 302
    assert list(Project.objects.all()) == [default_project()]
