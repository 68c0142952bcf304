"""The app of people: users, their roles, their projects and how they sign in."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "labportal.accounts"
    label = "accounts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from labportal.accounts import receivers  # noqa: F401 - connects the receivers
