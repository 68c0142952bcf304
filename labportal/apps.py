"""The project as an app of its own, above the others: checks, schedule, commands."""

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate

from labportal.common.metrics import register_gauge


class PortalConfig(AppConfig):
    name = "labportal"
    label = "portal"

    def ready(self) -> None:
        from labportal import checks  # noqa: F401 - registers the checks

        post_migrate.connect(_sync_schedule, sender=self)
        register_gauge("labportal_runs_queued", "Runs that wait for a place", _runs_queued)


def _runs_queued() -> float:
    from calculations.models import Run
    from calculations.states import RunState

    return float(Run.objects.filter(state=RunState.QUEUED).count())


def _sync_schedule(**_: Any) -> None:
    from labportal import schedule

    schedule.sync()
