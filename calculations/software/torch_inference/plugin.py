"""Inference with torch as a plug-in: its form, the program that travels with a run, and what is
read back.
"""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

from calculations.software.base import Resources, Software
from calculations.software.plausible import Plausible
from calculations.software.results import Chart, Exit, Outcome, Progress, Results
from calculations.software.torch_inference import extract, parameters, reading, verdict

INPUT, PLAN, PICTURE, PREDICTIONS = (
    "input.json",
    "plan.json",
    "inference.png",
    "predictions.parquet",
)
FOLDER = "program"
ENTRY = f"{FOLDER}/run.py"
ENTRY_TEXT = '''"""Starts the program of this run."""

import sys

from calculations.software.torch_inference.program.main import main

if __name__ == "__main__":
    sys.exit(main())
'''
PACKAGES = ("program", "networks")
EMPTY = ("calculations", "calculations/software", "calculations/software/torch_inference")
VERSION_SECONDS = 20
ASK_VERSION = (
    "import importlib.metadata as m; m.version('numpy'), m.version('safetensors'); "
    "print(m.version('torch'))"
)
SITE = ("data_dir", "cache_dir", "launcher", "hosts", "address")


class TorchInference(Software):
    """Site settings: `python`, an interpreter that has torch, numpy and safetensors; `data_dir`,
    below which data sets and weights lie; `cache_dir`, where converted partitions are kept. For
    runs on several nodes `launcher` ("srun --ntasks={tasks}", or "ssh {host}" with `hosts`) and
    `address`, the private address or network of the nodes.
    """

    name = "torch_inference"
    label = "Inference (torch)"
    description = "A trained network over a data set of partitions, by N ranks"
    parameters = parameters.PARAMETERS
    charts = (
        Chart(
            "density",
            "truth",
            ("prediction", "identity"),
            "Predicted against spectroscopic redshift",
            style="markers",
        ),
        Chart(
            "ranks",
            "rank",
            ("compute_s", "load_s", "wait_s", "communicate_s"),
            "Where the time of each rank went",
            style="line+markers",
        ),
        Chart("by_partition", "at_s", ("partition",), "When partitions were done", style="markers"),
    )
    log_file = reading.LOG
    retrieve = (
        INPUT,
        PLAN,
        reading.LOG,
        reading.RESULTS,
        reading.ERRORS,
        PREDICTIONS,
        PICTURE,
    )
    main_result = "samples_per_s"
    plausible = (
        Plausible("samples_per_s", 0.0, 1e9, "1/s"),
        Plausible("mae", 0.0, 1e6),
        Plausible("precision", 0.0, 1e6),
        Plausible("r2", None, 1.0),
    )

    def validate(self, values: Mapping[str, Any]) -> None:
        parameters.validate(values)

    def needed_files(self, values: Mapping[str, Any]) -> tuple[str, ...]:
        return (*parameters.files_of(values), *parameters.weights_file_of(values))

    def prepare(self, values: Mapping[str, Any], carried: Sequence[str] = ()) -> dict[str, str]:
        given = {**values, "files": list(parameters.files_of(values))}
        given["deadline"] = values["deadline"] or 0.0
        return {**_program(), INPUT: json.dumps(given, indent=1) + "\n"}

    def command(
        self, values: Mapping[str, Any], resources: Resources, site: Mapping[str, str]
    ) -> list[str]:
        named = {name: site.get(name, "") for name in SITE}
        words = [f"--{name.replace('_', '-')}={value}" for name, value in named.items() if value]
        return [
            site.get("python") or sys.executable,
            ENTRY,
            "coordinate",
            *words,
            f"--nodes={resources.nodes}",
            f"--cores={resources.cores}",
            f"--gpus={resources.gpus}",
        ]

    def discover(self, site: Mapping[str, str]) -> str | None:
        try:
            answer = subprocess.run(  # noqa: S603  (the site's own interpreter, no shell)
                [site.get("python") or sys.executable, "-c", ASK_VERSION],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=VERSION_SECONDS,
                check=False,
            )
        except (OSError, subprocess.SubprocessError):
            return None
        version = answer.stdout.strip()
        return version[:60] if answer.returncode == 0 and version else None

    def progress(self, tail: str) -> Progress | None:
        found = reading.progress_of(tail)
        return found and Progress(found[0], found[1], "samples")

    def judge(self, folder: Path, exit: Exit) -> Outcome:
        return verdict.judge(folder, exit)

    def extract(self, folder: Path) -> Results:
        return extract.extract(folder)


@lru_cache(maxsize=1)
def _program() -> dict[str, str]:
    """Return the program's files, also where the plug-in lies inside the agent file."""
    root = __package__.replace(".", "/")
    files = {f"{FOLDER}/{name}/__init__.py": "" for name in EMPTY}
    for package in PACKAGES:
        name = f"{__package__}.{package}"
        found = import_module(name)
        for module in ("__init__", *(info.name for info in pkgutil.iter_modules(found.__path__))):
            source = pkgutil.get_data(name, f"{module}.py")
            if source is None:
                raise FileNotFoundError(f"{module}.py is missing beside the plug-in")
            files[f"{FOLDER}/{root}/{package}/{module}.py"] = source.decode()
    return {**files, ENTRY: ENTRY_TEXT}
