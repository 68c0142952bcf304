"""The project as an app of its own, above the others: checks, schedule, commands."""

from typing import Any

from django.apps import AppConfig, apps
from django.db import connections
from django.db.models.signals import post_migrate

from labportal.common.metrics import register_gauge


class PortalConfig(AppConfig):
    name = "labportal"
    label = "portal"

    def ready(self) -> None:
        from labportal import celery, checks  # noqa: F401 - bind shared tasks, register checks

        # Sent for apps with models alone, so not for this one; the tables are those of beat's.
        post_migrate.connect(_sync_schedule, sender=apps.get_app_config("django_celery_beat"))
        register_gauge("labportal_runs_queued", "Runs that wait for a place", _runs_queued)


def _runs_queued() -> float:
    from calculations.models import Run
    from calculations.states import RunState

    return float(Run.objects.filter(state=RunState.QUEUED).count())


def _sync_schedule(using: str, **_: Any) -> None:
    from django_celery_beat.models import PeriodicTask

    from labportal import schedule

    if PeriodicTask._meta.db_table in connections[using].introspection.table_names():
        schedule.sync()
