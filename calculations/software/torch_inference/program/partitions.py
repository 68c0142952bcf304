"""The partitions of a data set: found, put in order, their headers checked before anything is
computed.

A data set is a folder below the site's `data_dir`, files that were brought with the run, or made
up from a seed. Nothing is left out silently: a gap or a file that cannot be used ends the run.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath

from calculations.software.torch_inference.program.formats import BadFile, Tensor, read_header
from calculations.software.torch_inference.program.networks import Network
from calculations.software.torch_inference.program.problem import Problem
from calculations.software.torch_inference.program.work import Work

READ = (".safetensors", ".npz")
CONVERTED = (".pt", ".pth")
DIGITS = re.compile(r"(\d+)")
MOST_NAMED = 5
REMEDY = "Repair the partition or take it out of the data set, then submit again."


@dataclass(frozen=True)
class Partition:
    """`path` "": made up. `tensors` say where each tensor lies."""

    index: int
    name: str
    samples: int
    path: str
    tensors: dict[str, Tensor]

    @property
    def size(self) -> int:
        return sum(tensor.size for tensor in self.tensors.values())


def partitions_of(
    work: Work, folder: Path, converted: Callable[[list[Path]], dict[Path, Path]]
) -> list[Partition]:
    """Return the partitions in order. `converted` turns .pt files into safetensors files. Raises
    Problem.
    """
    if work.source == "generated":
        tensors = work.model.generated(work.samples)
        return [
            Partition(index, f"generated-{index + 1}", work.samples, "", tensors)
            for index in range(work.partitions)
        ]
    paths = _named(work, folder) if work.source == "files" else _found(work)
    if work.file_limit:
        paths = paths[: work.file_limit]
    foreign = [path for path in paths if path.suffix.lower() in CONVERTED]
    readable = converted(foreign) if foreign else {}
    return _checked(work.model, [(path, readable.get(path, path)) for path in paths])


def below(root: str, folder: str) -> Path:
    """Return the folder (or file) of that name below the site's root. Raises Problem."""
    if not root:
        raise Problem(
            "no_data_dir",
            "This cluster names no folder for data sets.",
            "Ask its operator to set `data_dir` in the agent's section [software.torch_inference], "
            "or bring the partitions with the run.",
        )
    base = Path(root).expanduser().resolve()
    path = (base / folder).resolve()
    if path != base and base not in path.parents:
        raise Problem(
            "outside_data_dir",
            f"{folder!r:.200} leads out of the cluster's folder for data sets.",
            "Name a folder below it, without `..` and without links that lead elsewhere.",
        )
    return path


def in_order(names: Iterable[str]) -> list[str]:
    """Sort as people count: 2 before 10."""
    return sorted(
        names,
        key=lambda name: [
            (0, int(p), "") if p.isdigit() else (1, 0, p) for p in DIGITS.split(name)
        ],
    )


def _named(work: Work, folder: Path) -> list[Path]:
    if not work.files:
        raise _no_data("The run names no partitions.")
    missing = [name for name in work.files if not (folder / name).is_file()]
    if missing:
        raise Problem(
            "partition_missing",
            f"{_some(missing)} did not come with the run.",
            "Add the files to the calculation.",
        )
    return [folder / name for name in work.files]


def _found(work: Work) -> list[Path]:
    folder = below(work.site.data_dir, work.folder)
    try:
        with os.scandir(folder) as entries:
            names = [
                entry.name for entry in entries if _suffix(entry.name) >= 0 and entry.is_file()
            ]
    except OSError as error:
        raise _no_data(
            f"The folder {work.folder!r:.200} cannot be read: {error.strerror}."
        ) from None
    inside = [str(Path(work.folder) / name) for name in chosen(names, work.folder)]
    return [below(work.site.data_dir, name) for name in inside]


def chosen(names: Iterable[str], folder: str) -> list[str]:
    """Return the partitions among the names in `folder`, in order, each in the form that is read
    best. Raises Problem where there is none, or where one is missing.
    """
    best: dict[str, str] = {}
    for name in names:
        stem = PurePath(name).stem
        known = best.get(stem)
        if _suffix(name) >= 0 and (known is None or _suffix(name) < _suffix(known)):
            best[stem] = name
    if not best:
        raise _no_data(f"The folder {folder!r:.200} holds no partitions.")
    _refuse_gaps(best)
    return [best[stem] for stem in in_order(best)]


def _suffix(name: str) -> int:
    """Which kind of partition it is: what can be read as it is goes before what has to be
    converted. -1: none.
    """
    known, suffix = (*READ, *CONVERTED), PurePath(name).suffix.lower()
    return known.index(suffix) if suffix in known else -1


def _refuse_gaps(stems: Iterable[str]) -> None:
    """1, 2, 4: the third was lost on the way."""
    numbers = [int(stem) for stem in stems if stem.isdigit()]
    if not numbers or len(numbers) != len(list(stems)):
        return
    missing = sorted(set(range(min(min(numbers), 1), max(numbers) + 1)) - set(numbers))
    if missing:
        raise Problem(
            "partition_missing",
            f"The partitions are numbered up to {max(numbers)}, and {_some(map(str, missing))} "
            f"{'is' if len(missing) == 1 else 'are'} not there.",
            "Bring what is missing, or number the partitions without gaps.",
        )


def _checked(network: Network, paths: list[tuple[Path, Path]]) -> list[Partition]:
    found, bad = [], []
    for index, (original, path) in enumerate(paths):
        try:
            tensors = read_header(path)
            samples = network.samples(tensors)
        except (BadFile, ValueError) as error:
            bad.append(f"{original.name} {error}")
            continue
        except OSError as error:
            bad.append(f"{original.name} cannot be read: {error.strerror}")
            continue
        kept = {
            field.name: tensors[field.name] for field in network.fields if field.name in tensors
        }
        found.append(Partition(index, original.name, samples, str(path), kept))
    if bad:
        more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
        raise Problem("bad_partition", f"{bad[0]}{more}.", REMEDY, *bad[:20])
    return found


def _no_data(message: str) -> Problem:
    return Problem(
        "no_data", message, "Name a folder with partitions: safetensors, npz or pt files."
    )


def _some(names: Iterable[str]) -> str:
    names = list(names)
    rest = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")
