"""Data sets and real executions of the program, as an agent starts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy

from calculations.software.base import Resources
from calculations.software.results import Exit, Outcome, Results
from calculations.software.torch_inference import TorchInference

PLUGIN = TorchInference()
SAMPLES = (18, 25, 20)  # of three partitions
LIMIT_S = 90.0


def arrays(number: int, samples: int, *, truth: bool = True) -> dict[str, Any]:
    random = numpy.random.default_rng(number)
    made = {
        "image": random.normal(size=(samples, 5, 32, 32)).astype("<f4"),
        "magnitude": random.normal(18, 2, size=(samples, 5)),
    }
    if truth:
        made["redshift"] = random.uniform(0.0, 0.4, samples).astype("<f4")
    return made


def data_set(folder: Path, *, suffix: str = ".safetensors", truth: bool = True) -> Path:
    """Write three partitions of small size; return the folder."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    for number, samples in enumerate(SAMPLES, 1):
        path = folder / f"{number}{suffix}"
        made = arrays(number, samples, truth=truth)
        if suffix == ".npz":
            numpy.savez(path, **made)
        else:
            save_file(made, path)
    return folder


@dataclass
class Executed:
    """What an execution left; `said` is what it printed."""

    folder: Path
    outcome: Outcome
    results: Results
    said: str

    def value(self, name: str) -> Any:
        quantity = self.results.quantity(name)
        assert quantity is not None, (name, self.outcome, self.said)
        return quantity.value

    @property
    def document(self) -> dict[str, Any]:
        return json.loads((self.folder / "results.json").read_text())


def execute(
    folder: Path,
    values: Mapping[str, Any],
    *,
    site: Mapping[str, str] | None = None,
    resources: Resources | None = None,
    meanwhile: Callable[[subprocess.Popen[bytes], Path], None] | None = None,
) -> Executed:
    """Prepare a folder, run the program, judge and extract. `meanwhile` may interfere."""
    folder.mkdir(parents=True, exist_ok=True)
    checked = PLUGIN.check({"batch_size": 8, "patience": 5, **values})
    for name, text in PLUGIN.prepare(checked).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    site = {"python": sys.executable, "cache_dir": str(folder / "cache"), **(site or {})}
    command = PLUGIN.command(checked, resources or Resources(cores=2), site)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with (folder / "output.out").open("wb") as log, (folder / "stderr.txt").open("wb") as errors:
        process = subprocess.Popen(
            command, cwd=folder, stdout=log, stderr=errors, env=environment, start_new_session=True
        )
        try:
            if meanwhile is not None:
                meanwhile(process, folder)
            code = process.wait(LIMIT_S)
        finally:
            process.kill()
    said = (folder / "output.out").read_text() + (folder / "stderr.txt").read_text()
    outcome, results = PLUGIN.assess(folder, Exit(code))
    return Executed(folder, outcome, results, said)


def until_progress(process: subprocess.Popen[bytes], folder: Path) -> list[int]:
    """Wait for the first partition, and return the process ids of the ranks."""
    deadline = time.monotonic() + LIMIT_S
    while "progress" not in (folder / "output.out").read_text() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return children(children(process.pid)[0]) if process.poll() is None else []


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
