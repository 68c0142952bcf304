"""What follows a run's end is broken off: raw files are deleted, results exported."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from bench import export as bench
from tests.chaos.book import until
from tests.chaos.lab import Lab
from tests.chaos.parts import Play

TOMBSTONES = """
    SELECT p.file_count, jsonb_array_length(p.files), r.purged_at IS NOT NULL, r.disk_bytes
    FROM clusters_purge p JOIN calculations_run r ON r.id = p.run_id
    WHERE r.calculation_id = %s AND p.done_at IS NOT NULL"""
STATE = "SELECT state, tries, done, key, size FROM calculations_export WHERE id = %s"
LONG_AGO = "UPDATE calculations_export SET heard_at = heard_at - interval '1 hour' WHERE id = %s"
TEND = "import json\nfrom calculations.services import export_making\n"
TEND += "print(json.dumps(export_making.tend()))"
RUNS = 1000


def purge_and_kill(victim: str) -> Play:
    """Killed between the order to delete and its confirmation: one tombstone, and no file."""

    def play(lab: Lab) -> None:
        (work,) = lab.submit()
        lab.ended_once(work)
        lab.proxy.faults.losing = True  # the agent hears nothing, what it says has no answer
        lab.post(f"/api/v1/calculations/{work.id}/raw-files")
        lab.kill(victim)
        lab.restart(victim)
        lab.tidy()
        until(lambda: bool(lab.ask(TOMBSTONES, work.id)), lambda: lab.story(work))
        ((count, named, purged, left),) = lab.ask(TOMBSTONES, work.id)
        assert count == named > 0
        assert (purged, left) == (True, 0)

    return play


def export_and_kill(lab: Lab) -> None:
    """The worker is killed in the middle of an export; it is made again, whole, and once."""
    lab.stack.python(bench.SEED.format(n=RUNS, quantities=5, levels=10))
    export = lab.post("/api/v1/exports/", {"kind": "dataset-parquet", "include": ["levels"]})["id"]
    until(lambda: lab.ask(STATE, export)[0][0] == "running", lambda: lab.stack.tail("worker"))
    lab.kill("worker")
    state, tries, _, key, _ = lab.ask(STATE, export)[0]
    assert (state, tries, key) == ("running", 1, "")  # nobody knows of its end yet
    lab.ask(LONG_AGO, export)
    lab.restart("worker")
    lab.stack.python(TEND)
    until(lambda: lab.ask(STATE, export)[0][0] == "ready", lambda: lab.stack.tail("worker"))
    _, tries, done, key, size = lab.ask(STATE, export)[0]
    assert tries == 2
    kept = [path for path in Path(lab.stack.home).rglob("*.parquet") if path.is_file()]
    assert [path.stat().st_size for path in kept] == [size] and str(kept[0]).endswith(key)
    assert pq.read_table(kept[0]).num_rows == done >= RUNS
