"""The addresses of people and projects in the API; a slash at the end is optional."""

from django.urls import include, path, re_path
from rest_framework.routers import SimpleRouter

from labportal.accounts.api import projects, tokens, users

router = SimpleRouter(trailing_slash=False)
router.trailing_slash = "/?"
router.register("users", users.UserViewSet, basename="api-user")
router.register("projects", projects.ProjectViewSet, basename="api-project")

MEMBERS = r"^projects/(?P<project_id>\d{1,18})/members"

urlpatterns = [
    re_path(r"^auth/token/?$", tokens.TokenView.as_view(), name="api-token"),
    re_path(r"^auth/refresh/?$", tokens.RefreshView.as_view(), name="api-refresh"),
    re_path(r"^auth/sign-out/?$", tokens.SignOutView.as_view(), name="api-sign-out"),
    re_path(r"^me/?$", users.MeView.as_view(), name="api-me"),
    re_path(r"^me/password/?$", users.MyPasswordView.as_view(), name="api-me-password"),
    re_path(r"^me/sign-ins/?$", users.MySignInsView.as_view(), name="api-me-sign-ins"),
    re_path(
        r"^me/browsers/(?P<session_id>\d{1,18})/?$",
        users.MyBrowserView.as_view(),
        name="api-me-browser",
    ),
    re_path(
        r"^me/programs/(?P<grant_id>\d{1,18})/?$",
        users.MyProgramView.as_view(),
        name="api-me-program",
    ),
    re_path(MEMBERS + r"/?$", projects.MembersView.as_view(), name="api-project-members"),
    re_path(
        MEMBERS + r"/(?P<user_id>\d{1,18})/?$",
        projects.MemberView.as_view(),
        name="api-project-member",
    ),
    path("", include(router.urls)),
]
