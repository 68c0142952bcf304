"""Verifies the audit trail; exit status 1 and the first broken row where it was tampered with."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from labportal.audit.services import verify


class Command(BaseCommand):
    help = "Verify the hash chain of the audit trail."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--head",
            default="",
            help="A digest that this command printed earlier: also show a tail that was cut off.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        result = verify(head=options["head"])
        if result.broken is not None:
            raise CommandError(
                f"The audit trail is broken: row {result.broken.entry_id} {result.broken.why}. "
                f"{result.checked} rows before it are sound.",
                returncode=1,
            )
        self.stdout.write(f"The audit trail is sound: {result.checked} rows.")
        self.stdout.write(f"Head: {result.head or '(empty)'}")
