"""`manage.py rebuild_usage`: count anew, from the attempts, what people used in projects."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from clusters import usage


class Command(BaseCommand):
    help = "Counts anew from the attempts what people used in projects, for the fair share."

    def handle(self, *_: Any, **__: Any) -> None:
        count = usage.rebuild()
        self.stdout.write(f"{count} account{'' if count == 1 else 's'} counted.")
