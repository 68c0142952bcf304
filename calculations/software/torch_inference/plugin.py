"""Inference with torch as a plug-in: its form, the program that travels with a run, and what is
read back.
"""

from __future__ import annotations

import json
import pkgutil
import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

from calculations.software.base import Resources, Software
from calculations.software.discovery import python_says
from calculations.software.plausible import Plausible
from calculations.software.results import Chart, Exit, Outcome, Progress, Results
from calculations.software.torch_inference import extract, parameters, reading, verdict

INPUT, PLAN, PICTURE, PREDICTIONS = (
    "input.json",
    "plan.json",
    "inference.png",
    "predictions.parquet",
)
PROGRAM = "program.py"
PROGRAM_TEXT = """# The program of this run: its modules, laid out in the folder `program`.

import sys
from pathlib import Path

MODULES = {{
{modules}
}}

if __name__ == "__main__":
    folder = Path(__file__).resolve().parent / "program"
    for name, text in MODULES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    sys.path.insert(0, str(folder))
    from calculations.software.torch_inference.program.main import main

    sys.exit(main())
"""
PACKAGES = ("program", "networks")
EMPTY = ("calculations", "calculations/software", "calculations/software/torch_inference")
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
    ranks = "ranks"
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
        return {INPUT: json.dumps(given, indent=1) + "\n", PROGRAM: _program()}

    def command(
        self, values: Mapping[str, Any], resources: Resources, site: Mapping[str, str]
    ) -> list[str]:
        named = {name: site.get(name, "") for name in SITE}
        words = [f"--{name.replace('_', '-')}={value}" for name, value in named.items() if value]
        return [
            site.get("python") or sys.executable,
            PROGRAM,
            "coordinate",
            *words,
            f"--nodes={resources.nodes}",
            f"--cores={resources.cores}",
            f"--gpus={resources.gpus}",
        ]

    def discover(self, site: Mapping[str, str]) -> str | None:
        return python_says(site, ASK_VERSION)

    def progress(self, tail: str) -> Progress | None:
        found = reading.progress_of(tail)
        return found and Progress(found[0], found[1], "samples")

    def judge(self, folder: Path, exit: Exit) -> Outcome:
        return verdict.judge(folder, exit)

    def extract(self, folder: Path) -> Results:
        return extract.extract(folder)


@lru_cache(maxsize=1)
def program_files() -> dict[str, str]:
    """Return the program's modules as {path: text}, also where the plug-in lies in the agent
    file.
    """
    root = __package__.replace(".", "/")
    files = {f"{name}/__init__.py": "" for name in EMPTY}
    for package in PACKAGES:
        name = f"{__package__}.{package}"
        found = import_module(name)
        for module in ("__init__", *(info.name for info in pkgutil.iter_modules(found.__path__))):
            source = pkgutil.get_data(name, f"{module}.py")
            if source is None:
                raise FileNotFoundError(f"{module}.py is missing beside the plug-in")
            files[f"{root}/{package}/{module}.py"] = source.decode()
    return files


@lru_cache(maxsize=1)
def _program() -> str:
    """Return the one file that travels with a run."""
    modules = "\n".join(f"    {name!r}: {text!r}," for name, text in program_files().items())
    return PROGRAM_TEXT.format(modules=modules)
