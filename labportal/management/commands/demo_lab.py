"""manage.py demo_lab: migrate and prepare the demo's lab; `python -m labportal.demo` calls it."""

import json
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand

from labportal.demo import lab


class Command(BaseCommand):
    help = "Prepare the demo's lab and say, as JSON, what the demo must know."

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", interactive=False, verbosity=0)
        self.stdout.write(json.dumps(asdict(lab.prepare(settings.HOME, settings.PUBLIC_URL))))
