"""Thousands of runs at every kind of site at once, while something is broken at random all the
time; what is broken when follows from the seed.
"""

from __future__ import annotations

import contextlib
import http.client
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench.client import Refused
from tests.chaos.audit import Tally, adopt_one, audit
from tests.chaos.book import Work
from tests.chaos.faults import storm_faults
from tests.chaos.lab import Absent, Lab, open_lab

KINDS = ("process", "fake-slurm", "fake-pbs", "slurm", "ssh", "queue")
SLOTS = 8
AT_ONCE = 300  # runs that are under way at the most
BATCH, SWEEP = 10, 5
CALM_AFTER = 0.95  # of the runs have ended: nothing more is broken
MOST_S = 900.0
WORKS = """
    SELECT c.id, c.parameters->>'folder', coalesce(r.parameters->>'number', '0')
    FROM calculations_run r JOIN calculations_calculation c ON c.id = r.calculation_id
    WHERE c.name = 'storm'"""
COUNTS = """
    SELECT count(*), count(*) FILTER (WHERE r.state IN
        ('valid', 'not_valid', 'failed', 'cancelled', 'skipped'))
    FROM calculations_run r JOIN calculations_calculation c ON c.id = r.calculation_id
    WHERE c.name = 'storm'"""
STATES = """
    SELECT r.state, count(*) FROM calculations_run r
    JOIN calculations_calculation c ON c.id = r.calculation_id WHERE c.name = 'storm' GROUP BY 1"""
PLACES = """
    SELECT k.name, count(*) FROM calculations_attempt a JOIN clusters_cluster k
    ON k.id = a.cluster_id GROUP BY 1 ORDER BY 1"""
GIVEN_UP = """
    SELECT k.name || ', attempt ' || a.number || ': ' || a.code || ', ' || a.message || ' ' ||
        coalesce(a.accounting->>'evidence', ''), count(*)
    FROM calculations_attempt a JOIN calculations_run r ON r.id = a.run_id
    JOIN calculations_calculation c ON c.id = r.calculation_id
    LEFT JOIN clusters_cluster k ON k.id = a.cluster_id
    WHERE c.name = 'storm' AND r.state = 'failed' GROUP BY 1 ORDER BY 1"""
LEFT = """
    SELECT coalesce(k.name, 'no site') || ': ' || count(*) || ' ' || r.state || ', ' ||
        coalesce(nullif(r.waits_for, ''), r.pending->>'text', r.reason)
    FROM calculations_run r JOIN calculations_calculation c ON c.id = r.calculation_id
    LEFT JOIN clusters_cluster k ON k.id = coalesce(r.cluster_id, c.cluster_id)
    WHERE c.name = 'storm' AND r.state IN ('waiting', 'queued', 'assigned', 'running')
    GROUP BY k.name, r.state, r.waits_for, r.pending->>'text', r.reason"""
LATE = """
    SELECT DISTINCT c.id FROM calculations_orphanresult o JOIN calculations_run r ON r.id = o.run_id
    JOIN calculations_calculation c ON c.id = r.calculation_id
    WHERE c.name = 'storm' AND r.state = 'failed' AND o.report->'outcome'->>'verdict' = 'valid'"""


@dataclass
class Storm:
    """`say` is told of each step."""

    runs: int
    seed: int
    say: Callable[[str], None] = print
    broken: Counter[str] = field(default_factory=Counter)
    absent: list[str] = field(default_factory=list)
    held: Counter[str] = field(default_factory=Counter)
    states: dict[str, int] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    given_up: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    def play(self) -> Tally:
        chance = random.Random(self.seed)  # noqa: S311
        with open_lab(*KINDS, slots=SLOTS, LABPORTAL_LEASE_S="60") as lab:
            kinds = self._open(lab)
            began = time.monotonic()
            self._blow(lab, kinds, chance, began + MOST_S)
            self._calm(lab, began + MOST_S)
            self.seconds = time.monotonic() - began
            return self._count(lab)

    def _open(self, lab: Lab) -> list[str]:
        found = []
        for kind in KINDS:
            try:
                lab.site(kind)
                found.append(kind)
            except Absent as absent:
                self.absent.append(f"{kind}: {absent}")
        return found

    def _blow(self, lab: Lab, kinds: list[str], chance: random.Random, deadline: float) -> None:
        """Submit and break things until nearly all runs have ended."""
        faults = storm_faults(lab)
        told = time.monotonic()
        while time.monotonic() < deadline:
            lab.revive()
            asked, ended = self._progress(lab)
            if ended >= CALM_AFTER * self.runs:
                return
            if asked < self.runs and asked - ended < AT_ONCE:
                with contextlib.suppress(Refused, OSError, http.client.HTTPException):
                    self._submit(lab, kinds, chance, self.runs - asked)
            name = chance.choice(sorted(faults))
            with faults[name](lab, chance):
                self.broken[name] += 1
            if time.monotonic() - told > 15:
                told = time.monotonic()
                self.held.update(self._let_in(lab))
                self.say(f"{asked} asked, {ended} ended, {self.broken.total()} times broken")
        self.say("the time is over")

    def _submit(self, lab: Lab, kinds: list[str], chance: random.Random, left: int) -> None:
        """A batch of single calculations, and one with a sweep, all at one site or at any."""
        kind = chance.choice([*kinds, ""])
        cluster = lab.site(kind).cluster if kind else None
        asked = []
        for number in range(min(BATCH, left)):
            sweep = number == 0 and left >= BATCH + SWEEP
            folder = lab.marks / f"storm-{chance.getrandbits(64):x}"
            for each in range(SWEEP if sweep else 1):
                (folder / str(each)).mkdir(parents=True)
            axis = {"parameter": "number", "values": list(range(SWEEP))}
            asked.append(
                {
                    "name": "storm",
                    "software": "chaos",
                    "cluster": cluster,
                    "walltime_s": 120,
                    "parameters": {
                        "folder": str(folder),
                        "seconds": round(chance.uniform(0, 0.4), 2),
                    },
                    "sweep": {**axis, "mode": "independent"} if sweep else None,
                }
            )
        lab.post("/api/v1/calculations/bulk/", {"calculations": asked, "submit": True})

    def _progress(self, lab: Lab) -> tuple[int, int]:
        rows = lab.ask(COUNTS)
        return (int(rows[0][0]), int(rows[0][1])) if rows else (0, 0)

    def _let_in(self, lab: Lab) -> list[str]:
        """What an operator does about sites that were held, and starts what has died."""
        with contextlib.suppress(Exception):
            return lab.let_in()
        return []

    def _calm(self, lab: Lab, deadline: float) -> None:
        """Mend everything, and wait for the rest."""
        lab.tidy()
        looked = 0.0
        while time.monotonic() < deadline:
            asked, ended = self._progress(lab)
            if asked and asked == ended:
                return
            if time.monotonic() - looked > 10:
                looked = time.monotonic()
                self.held.update(self._let_in(lab))
                for site in lab.sites.values():
                    site.heal()
                self.say(f"calm: {ended} of {asked} ended")
                for (words,) in lab.ask(LEFT) if asked - ended <= 2 * BATCH else ():
                    self.say(f"  {words}")
            time.sleep(0.5)

    def _count(self, lab: Lab) -> Tally:
        works = [Work(row[0], Path(row[1]) / row[2]) for row in lab.ask(WORKS)]
        tally = audit(lab, works)
        self.states = dict(lab.ask(STATES))
        self.attempts = dict(lab.ask(PLACES))
        self.given_up = dict(lab.ask(GIVEN_UP))
        for (number,) in lab.ask(LATE)[:3]:
            work = next(work for work in works if work.id == number)
            adopted = adopt_one(lab, work) == "valid"
            tally.adopted += adopted
            if not adopted:
                tally.wrong.append(f"a late result of calculation {number} was not adopted")
        return tally
