"""What a scientist may set for an inference over N ranks, in the order of the form."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from calculations.software.parameters import InvalidParameters, Kind, Parameter

DATA, MODEL, DEVICE, RANKS = "Data set", "Network", "Device", "Ranks"
SAFE_NAME = re.compile(r"[A-Za-z0-9_+=,@%~-][A-Za-z0-9_.+=,@%~ -]{0,199}")
PARTITION_SUFFIXES = (".safetensors", ".npz", ".pt", ".pth")
WEIGHT_SUFFIXES = (".safetensors", ".pt", ".pth")
MOST_FILES = 2000

PARAMETERS: tuple[Parameter, ...] = (
    Parameter(
        "source",
        "Partitions",
        Kind.CHOICE,
        "generated",
        choices=(
            ("generated", "Made up from a seed"),
            ("folder", "A folder on the cluster"),
            ("files", "Files of this calculation"),
        ),
        help="safetensors, npz or pt files; a pt file is converted once, in a sandbox.",
        group=DATA,
    ),
    Parameter(
        "folder",
        "Folder",
        Kind.TEXT,
        "",
        required=False,
        max_length=500,
        help="Below the cluster's folder for data sets. Partitions are taken in the order of their "
        "numbers.",
        group=DATA,
        sweepable=True,
    ),
    Parameter(
        "files",
        "Files",
        Kind.TEXT,
        "",
        required=False,
        lines=4,
        help="One name a line.",
        group=DATA,
    ),
    Parameter(
        "file_limit",
        "Partitions at most",
        Kind.INTEGER,
        0,
        minimum=0,
        maximum=10_000_000,
        help="0: all of them.",
        group=DATA,
        sweepable=True,
    ),
    Parameter(
        "partitions",
        "Made-up partitions",
        Kind.INTEGER,
        4,
        minimum=0,
        maximum=100_000,
        group=DATA,
        sweepable=True,
    ),
    Parameter(
        "samples",
        "Samples in each",
        Kind.INTEGER,
        256,
        minimum=0,
        maximum=10_000_000,
        help="Of those that are made up. The published partitions of 100 MB hold 5,113.",
        group=DATA,
        sweepable=True,
    ),
    Parameter(
        "data_seed",
        "Seed of the data",
        Kind.INTEGER,
        1,
        minimum=0,
        maximum=2**31 - 1,
        group=DATA,
        advanced=True,
        sweepable=True,
    ),
    Parameter(
        "network",
        "Network",
        Kind.CHOICE,
        "redshift",
        choices=(("redshift", "Redshift (AstroMAE, 15,902,889 parameters)"),),
        help="image N × 5 × 32 × 32, magnitude N × 5, and redshift N where it is known.",
        group=MODEL,
    ),
    Parameter(
        "weights",
        "Weights",
        Kind.CHOICE,
        "seeded",
        choices=(
            ("seeded", "Random, from a seed"),
            ("folder", "A file on the cluster"),
            ("file", "A file of this calculation"),
        ),
        help="Random weights cost the same work; their predictions mean nothing.",
        group=MODEL,
    ),
    Parameter(
        "weights_file",
        "File of weights",
        Kind.TEXT,
        "",
        required=False,
        max_length=500,
        help="safetensors, or pt with a state_dict.",
        group=MODEL,
    ),
    Parameter(
        "weights_seed",
        "Seed of the weights",
        Kind.INTEGER,
        1,
        minimum=0,
        maximum=2**31 - 1,
        group=MODEL,
        advanced=True,
        sweepable=True,
    ),
    Parameter(
        "batch_size",
        "Batch size",
        Kind.INTEGER,
        128,
        minimum=1,
        maximum=65_536,
        keyword="batch_size",
        group=DEVICE,
        sweepable=True,
    ),
    Parameter(
        "device",
        "Device",
        Kind.CHOICE,
        "cpu",
        choices=(("cpu", "CPU"), ("cuda", "GPU (CUDA)")),
        help="One GPU for each rank; ask for as many in the resources.",
        group=DEVICE,
        sweepable=True,
    ),
    Parameter(
        "precision",
        "Numbers",
        Kind.CHOICE,
        "fp32",
        choices=(
            ("fp32", "float32"),
            ("tf32", "TensorFloat-32 (GPU)"),
            ("bf16", "bfloat16"),
        ),
        help="Predictions differ by 1e-5, 1e-3 and 2e-2 of their size at most between numbers of "
        "ranks.",
        group=DEVICE,
        sweepable=True,
    ),
    Parameter(
        "compile",
        "Compile the network",
        Kind.BOOLEAN,
        False,
        help="torch.compile, on GPUs: a minute at the start, quicker batches after it.",
        group=DEVICE,
        advanced=True,
        sweepable=True,
    ),
    Parameter(
        "threads",
        "Threads of a rank",
        Kind.INTEGER,
        1,
        minimum=1,
        maximum=1024,
        help="On the CPU. Ranks × threads should be the cores that are asked for.",
        group=DEVICE,
        sweepable=True,
    ),
    Parameter(
        "ranks_by",
        "Number of ranks",
        Kind.CHOICE,
        "number",
        choices=(("number", "As given"), ("deadline", "Cheapest for a deadline")),
        group=RANKS,
    ),
    Parameter(
        "ranks",
        "Ranks",
        Kind.INTEGER,
        2,
        minimum=1,
        maximum=4096,
        help="The world size. Ranks beyond the partitions have nothing to do, and do no harm.",
        keyword="world_size",
        group=RANKS,
        sweepable=True,
    ),
    Parameter(
        "deadline",
        "Deadline",
        Kind.NUMBER,
        None,
        unit="s",
        minimum=1,
        maximum=10_000_000,
        required=False,
        help="From the start of the program to the reduced result. One rank is measured first.",
        group=RANKS,
        sweepable=True,
    ),
    Parameter(
        "collectives",
        "Barrier, reduce, gather",
        Kind.CHOICE,
        "gloo",
        choices=(("gloo", "gloo; NCCL between GPUs"), ("channel", "The run's own connection")),
        group=RANKS,
        advanced=True,
        sweepable=True,
    ),
    Parameter(
        "launch",
        "Ranks are started",
        Kind.CHOICE,
        "fork",
        choices=(
            ("fork", "By fork, torch imported once a node"),
            ("tasks", "Each as a task of the scheduler"),
            ("torchrun", "By torchrun, on one node"),
        ),
        group=RANKS,
        advanced=True,
        sweepable=True,
    ),
    Parameter(
        "patience",
        "Patience with a rank",
        Kind.NUMBER,
        10.0,
        unit="s",
        minimum=1,
        maximum=3600,
        help="A rank that is silent for so long is given up, and its partitions go to the others. "
        "So is one that ends no batch for so long, and for four times the longest batch.",
        group=RANKS,
        advanced=True,
    ),
)


def files_of(parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """The partitions that come with the run, in the order given."""
    if parameters["source"] != "files":
        return ()
    names = (line.strip() for line in str(parameters["files"]).splitlines())
    return tuple(name for name in names if name)


def weights_file_of(parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """The file of weights that comes with the run, if any."""
    return (str(parameters["weights_file"]),) if parameters["weights"] == "file" else ()


def validate(parameters: Mapping[str, Any]) -> None:
    """Check what concerns several parameters together. Raises InvalidParameters."""
    errors = {
        **_data_errors(parameters),
        **_weight_errors(parameters),
        **_device_errors(parameters),
    }
    if parameters["ranks_by"] == "deadline":
        if parameters["deadline"] is None:
            errors["deadline"] = "is needed where a deadline decides; enter seconds"
        if parameters["launch"] != "fork":
            errors["ranks_by"] = "a deadline decides only where ranks are started by fork"
    if errors:
        raise InvalidParameters(errors)


def _data_errors(parameters: Mapping[str, Any]) -> dict[str, str]:
    if parameters["source"] == "folder":
        return _path_error("folder", str(parameters["folder"]))
    if parameters["source"] != "files":
        return {}
    names = files_of(parameters)
    wrong = [name for name in names if not SAFE_NAME.fullmatch(name)]
    other = [name for name in names if not name.lower().endswith(PARTITION_SUFFIXES)]
    if not names:
        words = "are needed; name one partition a line"
    elif wrong:
        words = f"{wrong[0]!r:.80} is not a safe name; use letters, digits and . _ -"
    elif other:
        words = f"{other[0]!r:.80} is none of {', '.join(PARTITION_SUFFIXES)}"
    elif len(set(names)) < len(names):
        words = "name a file twice; name each partition once"
    elif len(names) > MOST_FILES:
        words = f"are {len(names)}; up to {MOST_FILES} can come with a run, more lie in a folder"
    else:
        return {}
    return {"files": words}


def _weight_errors(parameters: Mapping[str, Any]) -> dict[str, str]:
    name = str(parameters["weights_file"])
    if parameters["weights"] == "seeded":
        return {}
    if not name.lower().endswith(WEIGHT_SUFFIXES):
        return {"weights_file": f"must be the name of a file {', '.join(WEIGHT_SUFFIXES)}"}
    if parameters["weights"] == "file" and not SAFE_NAME.fullmatch(name):
        return {"weights_file": f"{name!r:.80} is not a safe name; use letters, digits and . _ -"}
    if parameters["weights"] == "file" and name in files_of(parameters):
        return {"weights_file": "is one of the partitions, too"}
    return _path_error("weights_file", name)


def _path_error(name: str, path: str) -> dict[str, str]:
    if not path.strip():
        return {name: "is needed; name it below the cluster's folder for data sets"}
    parts = path.split("/")
    if path.startswith(("/", "~")) or ".." in parts or "\0" in path:
        return {name: "must lie below the cluster's folder for data sets: no leading /, no .."}
    return {}


def _device_errors(parameters: Mapping[str, Any]) -> dict[str, str]:
    if parameters["device"] == "cuda":
        return {}
    errors = {}
    if parameters["precision"] == "tf32":
        errors["precision"] = "TensorFloat-32 is a GPU's; choose float32 or bfloat16 on the CPU"
    if parameters["compile"]:
        errors["compile"] = "is for GPUs; switch it off on the CPU"
    return errors
