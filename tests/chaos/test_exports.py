"""The worker is killed in the middle of an export; it is made again, whole, and once."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from bench import export as bench
from tests.chaos.lab import Lab, until

RUNS = 2000
STATE = "SELECT state, tries, done, key, size FROM calculations_export WHERE id = %s"
LONG_AGO = "UPDATE calculations_export SET heard_at = heard_at - interval '1 hour' WHERE id = %s"
TEND = "import json\nfrom calculations.services import export_making\n"
TEND += "print(json.dumps(export_making.tend()))"


def test_a_killed_worker_leaves_an_export_that_is_made_again(lab: Lab) -> None:
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
    assert (tries, done) == (2, RUNS)
    kept = [path for path in Path(lab.stack.home).rglob("*.parquet") if path.is_file()]
    assert [path.stat().st_size for path in kept] == [size] and str(kept[0]).endswith(key)
    assert pq.read_table(kept[0]).num_rows == RUNS
