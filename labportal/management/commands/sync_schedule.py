"""manage.py sync_schedule: write labportal/schedule.py into the database that beat reads."""

from typing import Any

from django.core.management.base import BaseCommand

from labportal import schedule


class Command(BaseCommand):
    help = "Write the list of periodic tasks into the database that Celery's beat reads."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"{schedule.sync()} periodic tasks")
