"""The app of the record: who did what, in a chain that shows every later change."""

from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "labportal.audit"
    label = "audit"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from labportal.accounts.roles import Can, can
        from labportal.audit import receivers  # noqa: F401 - connects the receivers
        from labportal.common.navigation import NavEntry, Section, register_nav

        register_nav(
            NavEntry(
                "Audit",
                "audit-list",
                needs=lambda user: can(user, Can.VIEW_AUDIT),
                section=Section.ADMINISTRATION,
                order=30,
            )
        )
