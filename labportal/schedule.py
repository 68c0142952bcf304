"""The one list of what happens by the clock; Celery's beat reads it from the database.

Written by sync(), after each migrate and by `manage.py sync_schedule`. Entries that left the list
are removed; entries that somebody else made are left alone.
"""

from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
from django_celery_beat.models import IntervalSchedule, PeriodicTask

PREFIX = "labportal: "
HOUR = 3600
DAY = 24 * HOUR
LEASE_WATCH_S = max(1, min(15, settings.LEASE_S // 20))


@dataclass(frozen=True, slots=True)
class Periodic:
    """A Celery task that beat sends every so many seconds; one not taken in time is dropped."""

    what: str
    task: str
    seconds: int

    @property
    def name(self) -> str:
        return PREFIX + self.what


SCHEDULE = (
    Periodic("place queued runs", "clusters.tasks.explain_queue", 10),
    Periodic("sign in where it is time", "clusters.transports.ssh.tasks.exchange_due", 5),
    Periodic("tend executions in AWS", "clusters.transports.aws.tasks.tend", 5),
    Periodic("expire leases", "clusters.tasks.expire_leases", LEASE_WATCH_S),
    Periodic("send e-mails", "notifications.sweep", 30),
    Periodic("announce what ended", "calculations.tasks.sweep_unannounced", 60),
    Periodic("tend exports", "calculations.tasks.tend_exports", 60),
    Periodic("summarise metrics", "clusters.tasks.summarise_metrics", 60),
    Periodic("tend models", "mlmodels.tasks.tend_models", 5),
    Periodic("wake models and put them to sleep", "mlmodels.tasks.keep_schedules", 30),
    Periodic("end contract tests", "mlmodels.tasks.expire_contract_tests", 60),
    Periodic("tend calls that wait", "mlmodels.tasks.tend_async_calls", 15),
    Periodic("forget old calls of models", "mlmodels.tasks.forget_old_calls", HOUR),
    Periodic("forget old lines and metrics", "clusters.tasks.forget_old", HOUR),
    Periodic("forget old sign-ins", "clusters.transports.ssh.tasks.forget_old", HOUR),
    Periodic("empty the bin of drafts", "calculations.tasks.empty_bin", HOUR),
    Periodic("count use anew", "clusters.tasks.rebuild_usage", DAY),
    Periodic("schedule purges", "clusters.tasks.schedule_purges", HOUR),
    Periodic("forget expired sessions", "labportal.common.tasks.forget_expired", DAY),
    Periodic("forget expired tokens", "accounts.forget_expired", DAY),
)


@transaction.atomic
def sync() -> int:
    """Make the database's schedule equal to the list; return how many entries it has."""
    for entry in SCHEDULE:
        interval, _ = IntervalSchedule.objects.get_or_create(
            every=entry.seconds, period=IntervalSchedule.SECONDS
        )
        PeriodicTask.objects.update_or_create(
            name=entry.name,
            defaults={
                "task": entry.task,
                "interval": interval,
                "crontab": None,
                "expire_seconds": min(entry.seconds, HOUR),
                "enabled": True,
            },
        )
    names = [entry.name for entry in SCHEDULE]
    PeriodicTask.objects.filter(name__startswith=PREFIX).exclude(name__in=names).delete()
    return len(SCHEDULE)
