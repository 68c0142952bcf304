"""The app of the record: who did what, in a chain that shows every later change."""

from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "labportal.audit"
    label = "audit"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from labportal.audit import receivers  # noqa: F401 - connects the receivers
