"""The project as an app of its own, above the others: checks, schedule, commands."""

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class PortalConfig(AppConfig):
    name = "labportal"
    label = "portal"

    def ready(self) -> None:
        from labportal import checks  # noqa: F401 - registers the checks

        post_migrate.connect(_sync_schedule, sender=self)


def _sync_schedule(**_: Any) -> None:
    from labportal import schedule

    schedule.sync()
