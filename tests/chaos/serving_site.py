"""A site whose agent serves models as processes."""

from __future__ import annotations

from pathlib import Path

from bench.sites import Site
from bench.stack import PASSWORD

KEEPER = "keeper"  # a moderator: their versions need nobody else's approval
SEED = f"""
import json
from labportal.accounts.models import Level, User
if not User.objects.filter(username="{KEEPER}").exists():
    User.objects.create_user(
        "{KEEPER}", password="{PASSWORD}", role="moderator", notification_level=Level.NONE)
print(json.dumps(True))
"""


class Serving(Site):
    """An agent that serves models; it starts what has failed again after a moment."""

    kind = "models"

    @property
    def models(self) -> Path:
        return self.stack.home / "models"

    def serving(self) -> str:
        lines = ("runtimes = process", f"folders = {self.models}", "backoff_s = 0.05")
        return "\n".join(lines)

    def open(self) -> None:
        self.models.mkdir(exist_ok=True)
        self.stack.python(SEED)
