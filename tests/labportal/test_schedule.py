"""What happens by the clock is one list; the database follows it, and every name is a real task."""

import pytest
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from labportal import schedule
from labportal.celery import app


@pytest.mark.django_db
def test_a_migrated_database_has_the_schedule() -> None:
    names = {entry.name for entry in schedule.SCHEDULE}
    assert names <= set(PeriodicTask.objects.values_list("name", flat=True))


@pytest.mark.django_db
def test_the_database_follows_the_list_and_leaves_others_alone() -> None:
    interval, _ = IntervalSchedule.objects.get_or_create(every=7, period="seconds")
    PeriodicTask.objects.create(name="labportal: of last year", task="x", interval=interval)
    PeriodicTask.objects.create(name="the lab's own", task="y", interval=interval)
    PeriodicTask.objects.filter(name=schedule.SCHEDULE[0].name).update(enabled=False)

    schedule.sync()
    schedule.sync()

    names = set(PeriodicTask.objects.values_list("name", flat=True))
    assert names >= {entry.name for entry in schedule.SCHEDULE} | {"the lab's own"}
    assert "labportal: of last year" not in names
    placing = PeriodicTask.objects.get(task="clusters.tasks.explain_queue")
    assert (placing.interval.every, placing.expire_seconds, placing.enabled) == (10, 10, True)


def test_every_entry_names_a_task_that_a_worker_knows() -> None:
    app.loader.import_default_modules()
    assert {entry.task for entry in schedule.SCHEDULE} <= set(app.tasks)
