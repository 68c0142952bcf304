"""manage.py rehearse: throw-away sites with real agents at this portal, a load of runs, and faults.

Shows how the portal survives what schedulers, nodes and agents do, and leaves nothing behind.
"""

from __future__ import annotations

import json
import select
import shutil
import sys
import tempfile
import time
import urllib.error
import urllib.request
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from clusters.agent_file import build
from clusters.rehearsal import plan
from clusters.rehearsal.agents import Stand
from clusters.rehearsal.plan import Step
from clusters.services import rehearsals
from clusters.services.rehearsals import Row, Stage
from labportal.accounts.models import User
from labportal.accounts.roles import Role
from labportal.common.errors import DomainError

KINDS = ("slurm", "pbs", "torque", "process")
HEARD_WITHIN_S = 60
LOOK_S = 1.0
COLUMNS = ("site", "waiting", "handed out", "in its queue", "running", "valid", "failed", "lost",
           "doubled", "orphans", "faults", "portal says")  # fmt: skip


class Command(BaseCommand):
    help = __doc__

    def create_parser(self, *args: Any, **kwargs: Any) -> ArgumentParser:
        parser = super().create_parser(*args, **kwargs)
        parser.formatter_class = RawDescriptionHelpFormatter
        parser.epilog = f"faults:\n{plan.described()}"
        return parser

    def add_arguments(self, parser: ArgumentParser) -> None:
        add = parser.add_argument
        add("--sites", default="slurm,pbs", help="kinds, with numbers: slurm:2,pbs,torque,process")
        add("--runs", type=int, default=100, help="over all sites (100)")
        add("--seconds", type=float, default=2.0, help="that each program takes (2)")
        add("--cores", type=int, default=8, help="of each site (8)")
        add("--fault", action="append", default=[], metavar="STEP",
            help='such as "5 slurm time_out times=3"; instead of the usual ones')  # fmt: skip
        add("--plan", type=Path, metavar="FILE", help="steps, one a line")
        add("--calm", action="store_true", help="let nothing go wrong")
        add("--interactive", action="store_true",
            help="read further steps from the keyboard, and: runs NUMBER, end")  # fmt: skip
        add("--within", type=float, default=300.0, help="seconds until it is given up (300)")
        add("--url", default=settings.PUBLIC_URL, help="where the agents find the portal")
        add("--as", dest="admin", metavar="ADMIN", help="who does it (the first admin)")
        add("--yes", action="store_true", help="also where this is a portal in production")
        add("--clean", action="store_true", help="only remove what a killed rehearsal has left")

    def handle(self, *args: Any, **options: Any) -> None:
        self._refuse(options)
        admin = self._admin(options["admin"])
        try:
            with rehearsals.alone():
                self._rehearse(admin, options)
        except DomainError as error:
            raise CommandError(str(error)) from None

    def _rehearse(self, admin: User, options: dict[str, Any]) -> None:
        for name in rehearsals.left_over(actor=admin):
            shutil.rmtree(_home(name), ignore_errors=True)
            self.stdout.write(f"Removed what {name} has left.")
        if options["clean"]:
            return
        steps = self._steps(options)
        names = self._names(options["sites"])
        self._reach(options["url"])
        stage = rehearsals.open_stage([name for name, _ in names], actor=admin)
        home = _home(stage.name)
        stands: list[Stand] = []
        try:
            home.mkdir(mode=0o700)
            for name, kind in names:
                stands.append(Stand(home / name, name, kind, cores=max(1, options["cores"])))
            said = self._play(stage, stands, steps, home, admin, options)
        except KeyboardInterrupt:
            raise CommandError("Stopped; everything it had made is removed.") from None
        finally:
            for stand in stands:
                stand.close()
            rehearsals.close_stage(stage, actor=admin)
            shutil.rmtree(home, ignore_errors=True)
        self.stdout.write(json.dumps(said))
        if said["open"] or said["doubled"]:
            raise CommandError("Not every run ended once: look at the table above.")

    # Before

    def _refuse(self, options: dict[str, Any]) -> None:
        if not settings.DEBUG and not options["yes"]:
            raise CommandError(
                "This portal is in production (DEBUG is off). A rehearsal registers clusters named "
                "rehearsal-…, submits runs to them alone, breaks them on purpose and removes them; "
                "for some minutes people see them among the clusters. Say --yes to do it."
            )
        if options["runs"] < 1 or options["seconds"] < 0:
            raise CommandError("--runs must be 1 or more, and --seconds 0 or more.")

    def _admin(self, name: str | None) -> User:
        admins = User.objects.filter(role=Role.ADMIN, is_active=True).exclude(
            username__startswith=rehearsals.PREFIX
        )
        found = (admins.filter(username=name) if name else admins.order_by("pk")).first()
        if found is None:
            raise CommandError(
                f"{name!r} is no active admin." if name else "There is no admin yet."
            )
        return found

    def _names(self, text: str) -> list[tuple[str, str]]:
        found = []
        for part in text.split(","):
            kind, _, number = part.strip().partition(":")
            if kind not in KINDS or not (number or "1").isdigit():
                known = ", ".join(KINDS)
                raise CommandError(f"--sites {part!r}: write kinds ({known}) such as slurm:2,pbs.")
            found += [(f"{kind}-{n}", kind) for n in range(1, int(number or 1) + 1)]
        return found

    def _steps(self, options: dict[str, Any]) -> list[Step]:
        text = "\n".join(options["fault"])
        try:
            if options["plan"]:
                text += "\n" + options["plan"].read_text(encoding="utf-8")
            usual = not text.strip() and not options["calm"]
            return plan.read(plan.USUAL if usual else text)
        except (ValueError, OSError) as error:
            raise CommandError(str(error)) from None

    def _reach(self, url: str) -> None:
        try:
            with urllib.request.urlopen(f"{url}/healthz", timeout=10):  # noqa: S310  (our own)
                return
        except (OSError, urllib.error.URLError, ValueError) as error:
            raise CommandError(
                f"The portal does not answer at {url} ({error}): start it, or name its --url."
            ) from None

    # During

    def _play(
        self,
        stage: Stage,
        stands: list[Stand],
        steps: list[Step],
        home: Path,
        admin: User,
        options: dict[str, Any],
    ) -> dict[str, Any]:
        agent_file = home / "labportal-agent.pyz"
        build(agent_file)
        for stand in stands:
            key = stage.keys[f"{stage.name}-{stand.name}"]
            stand.settle(agent_file, url=options["url"], key=key)
        self._wait_for_agents(stage, stands)
        rehearsals.submit(stage, runs=options["runs"], seconds=options["seconds"])
        began = time.monotonic()
        table = Table(self.stdout, stage.name)
        while True:
            passed = time.monotonic() - began
            while steps and steps[0].after_s <= passed:
                self._happen(steps.pop(0), stands, stage, admin, passed)
            for stand in stands:
                stand.tick()
            rows = rehearsals.standing(stage)
            table.show(rows, stands, passed)
            over = not any(row.open for row in rows.values()) and not steps
            if (over and not options["interactive"]) or passed > options["within"]:
                return summary(rows, stands, passed)
            if self._listen(stage, steps, passed, options):
                return summary(rows, stands, passed)

    def _wait_for_agents(self, stage: Stage, stands: list[Stand]) -> None:
        self.stdout.write(f"{stage.name}: waiting for {len(stands)} agents …")
        deadline = time.monotonic() + HEARD_WITHIN_S
        while len(rehearsals.heard(stage)) < len(stands):
            for stand in stands:
                if stand.ended():
                    raise CommandError(f"The agent of {stand.name} has ended: {stand.ended()}")
            if time.monotonic() > deadline:
                raise CommandError("The portal has not heard the agents: do web and worker run?")
            time.sleep(0.2)

    def _happen(
        self, step: Step, stands: list[Stand], stage: Stage, admin: User, passed: float
    ) -> None:
        self.stdout.write(f"{passed:6.1f} s  {step}")
        for stand in stands:
            if step.hits(stand.name, stand.kind):
                stand.suffer(step)
        if step.kind == "heal":
            rehearsals.let_in_again(stage, actor=admin)

    def _listen(
        self, stage: Stage, steps: list[Step], passed: float, options: dict[str, Any]
    ) -> bool:
        """Wait a moment; return whether the end was asked for at the keyboard."""
        if not options["interactive"]:
            time.sleep(LOOK_S)
            return False
        if not select.select([sys.stdin], [], [], LOOK_S)[0]:
            return False
        line = sys.stdin.readline()
        words = line.split()
        if words == ["end"]:
            return True
        if not line:  # the keyboard is gone: what is under way still ends
            options["interactive"] = False
        elif words[:1] == ["runs"] and words[1:] and words[1].isdigit():
            rehearsals.submit(stage, runs=int(words[1]), seconds=options["seconds"])
        else:
            self._add(line, steps, passed)
        return False

    def _add(self, line: str, steps: list[Step], passed: float) -> None:
        try:
            for step in plan.read(line):
                step.after_s += passed
                steps.append(step)
        except ValueError as error:
            self.stdout.write(f"{error}; or: runs NUMBER, end")
        steps.sort(key=lambda step: step.after_s)


def _home(name: str) -> Path:
    return Path(tempfile.gettempdir()) / f"labportal-{name}"


class Table:
    """Prints what stands at the sites whenever something has changed."""

    def __init__(self, out: Any, name: str) -> None:
        self.out, self.name = out, name
        self._last: list[list[str]] = []

    def show(self, rows: dict[str, Row], stands: list[Stand], passed: float) -> None:
        lines = [cells(stand, rows.get(f"{self.name}-{stand.name}")) for stand in stands]
        if lines == self._last:
            return
        self._last = lines
        shown = [list(COLUMNS), *lines]
        widths = [max(len(line[column]) for line in shown) for column in range(len(COLUMNS))]
        self.out.write(f"{passed:6.1f} s")
        for line in shown:
            first, *numbers, last = line
            middle = "  ".join(
                text.rjust(width) for text, width in zip(numbers, widths[1:-1], strict=True)
            )
            self.out.write(f"  {first.ljust(widths[0])}  {middle}  {last}")


def cells(stand: Stand, row: Row | None) -> list[str]:
    if row is None:
        return [stand.name, *["–"] * (len(COLUMNS) - 2), "is gone"]
    numbers = (
        row.queued,
        row.assigned,
        stand.waiting(),
        row.running,
        row.valid,
        row.failed,
        row.lost,
        doubled(stand),
        row.orphans,
        stand.fault_hits(),
    )
    return [stand.name, *map(str, numbers), stand.ended() or row.state]


def doubled(stand: Stand) -> int:
    """How often an attempt was executed more than once."""
    return sum(count - 1 for count in stand.executions().values())


def summary(rows: dict[str, Row], stands: list[Stand], passed: float) -> dict[str, Any]:
    ended = sum(row.valid + row.failed for row in rows.values())
    return {
        "name": "rehearsal",
        "n": sum(row.open for row in rows.values()) + ended,
        "seconds": round(passed, 1),
        "per_s": round(ended / passed, 2) if passed else 0.0,
        "sites": len(stands),
        "valid": sum(row.valid for row in rows.values()),
        "failed": sum(row.failed for row in rows.values()),
        "open": sum(row.open for row in rows.values()),
        "attempts_lost": sum(row.lost for row in rows.values()),
        "doubled": sum(doubled(stand) for stand in stands),
        "submitted_twice": sum(stand.submitted_twice() for stand in stands),
        "orphans": sum(row.orphans for row in rows.values()),
        "faults": sum(stand.fault_hits() for stand in stands),
    }
