"""What a run is asked to do: the plug-in's parameters and the site's settings, as the program reads
them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from calculations.software.torch_inference.program.networks import NETWORKS, Network

INPUT = "input.json"
START_S = 120.0  # within which hosts and ranks must have joined
GLOO, NCCL, CHANNEL = "gloo", "nccl", "channel"


@dataclass(frozen=True)
class Site:
    """What this cluster says of itself.

    `data_dir`   the folder below which data sets and weights lie
    `cache_dir`  where converted partitions are kept
    `launcher`   words that start one host a node: {nodes} stands for their number, {host} for the
                 name of one of `hosts`
    `address`    the private address (or network) at which this machine is reached by the others
    """

    data_dir: str = ""
    cache_dir: str = ""
    launcher: str = ""
    hosts: tuple[str, ...] = ()
    address: str = ""


@dataclass(frozen=True)
class Work:
    """One execution. Times in seconds; `threads` and `ranks` 0: as the machine allows."""

    network: str = "redshift"
    source: str = "generated"
    folder: str = ""
    files: tuple[str, ...] = ()
    file_limit: int = 0
    partitions: int = 4
    samples: int = 256
    data_seed: int = 1
    weights: str = "seeded"
    weights_file: str = ""
    weights_seed: int = 1
    batch_size: int = 128
    device: str = "cpu"
    precision: str = "fp32"
    compile: bool = False
    ranks: int = 2
    ranks_by: str = "number"
    deadline: float = 0.0
    threads: int = 1
    collectives: str = GLOO
    launch: str = "fork"
    patience: float = 10.0
    nodes: int = 1
    cores: int = 1
    gpus: int = 0
    site: Site = field(default_factory=Site)

    @property
    def model(self) -> Network:
        return NETWORKS[self.network]

    @property
    def backend(self) -> str:
        """gloo stands for what suits the device: NCCL between GPUs."""
        if self.collectives == CHANNEL:
            return CHANNEL
        return NCCL if self.device == "cuda" else GLOO

    @property
    def most_ranks(self) -> int:
        """How many ranks the resources that were asked for can carry."""
        if self.device == "cuda":
            return max(1, self.gpus)
        return max(1, self.cores // max(1, self.threads))


def read_work(folder: Path, given: Mapping[str, Any]) -> Work:
    """Return the work that the run's folder describes; `given` is what the command line adds."""
    document = json.loads((folder / INPUT).read_text(encoding="utf-8"))
    known = {f.name for f in fields(Work)}
    values = {name: value for name, value in document.items() if name in known}
    values["files"] = tuple(values.get("files", ()))
    return Work(**{**values, **given})
