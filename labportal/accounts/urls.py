"""The addresses of the pages of people and projects, included at the root."""

from django.urls import path

from labportal.accounts.views import profile, projects, sign_in, users

urlpatterns = [
    path("sign-in/", sign_in.sign_in, name="sign-in"),
    path("sign-out/", sign_in.sign_out, name="sign-out"),
    path("colour-scheme/", profile.colour_scheme, name="colour-scheme"),
    path("profile/", profile.profile, name="profile"),
    path("profile/password/", profile.password, name="profile-password"),
    path(
        "profile/sign-out-everywhere/",
        profile.sign_out_everywhere,
        name="profile-sign-out-everywhere",
    ),
    path(
        "profile/browsers/<int:session_id>/revoke/",
        profile.revoke_browser,
        name="profile-browser-revoke",
    ),
    path(
        "profile/programs/<int:grant_id>/revoke/",
        profile.revoke_program,
        name="profile-program-revoke",
    ),
    path("users/", users.user_list, name="user-list"),
    path("users/new/", users.user_create, name="user-create"),
    path("users/<int:user_id>/", users.user_detail, name="user-detail"),
    path("users/<int:user_id>/role/", users.user_role, name="user-role"),
    path("users/<int:user_id>/password/", users.user_password, name="user-password"),
    path("users/<int:user_id>/block/", users.user_block, name="user-block"),
    path("users/<int:user_id>/unblock/", users.user_unblock, name="user-unblock"),
    path("users/<int:user_id>/sign-out/", users.user_sign_out, name="user-sign-out"),
    path("users/<int:user_id>/delete/", users.user_delete, name="user-delete"),
    path("projects/", projects.project_list, name="project-list"),
    path("projects/new/", projects.project_create, name="project-create"),
    path("projects/<slug:slug>/", projects.project_detail, name="project-detail"),
    path("projects/<slug:slug>/edit/", projects.project_edit, name="project-edit"),
    path("projects/<slug:slug>/delete/", projects.project_delete, name="project-delete"),
    path("projects/<slug:slug>/members/", projects.project_member, name="project-member"),
    path(
        "projects/<slug:slug>/members/<int:user_id>/remove/",
        projects.project_member_remove,
        name="project-member-remove",
    ),
]
