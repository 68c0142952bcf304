"""The app of people: users, their roles, their projects and how they sign in."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "labportal.accounts"
    label = "accounts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from labportal.accounts import receivers  # noqa: F401 - connects the receivers
        from labportal.accounts.roles import Can, can
        from labportal.common.navigation import NavEntry, Section, register_nav

        register_nav(
            NavEntry("Profile", "profile", section=Section.PERSON, order=10),
            NavEntry("Projects", "project-list", section=Section.PERSON, order=20),
            NavEntry(
                "Users",
                "user-list",
                key="u",
                needs=lambda user: can(user, Can.VIEW_USERS),
                section=Section.ADMINISTRATION,
                order=10,
            ),
        )
