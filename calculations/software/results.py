"""What a run leaves behind, in words that portal and agent share: verdict, quantities, datasets,
charts.

Standard library only and Python 3.9. Everything turns into plain JSON and back without loss.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any


class Verdict(str, Enum):
    VALID = "valid"
    NOT_VALID = "not_valid"  # the program ended, its result must not be used
    FAILED = "failed"  # the program did not do its work


@dataclass(frozen=True)
class Outcome:
    """A verdict with a named code (`scf_not_converged`), a sentence, what to try next, and why we
    believe it.

    `retry` holds parameters with which another attempt may succeed, `restart` patterns of the
    files of this attempt from which that one may start: empty where they are not sound.
    `last_geometry`: it should go on from the last geometry of this one.
    """

    verdict: Verdict
    code: str
    message: str
    remedy: str = ""
    evidence: tuple[str, ...] = ()
    retry: Mapping[str, Any] = field(default_factory=dict)
    restart: tuple[str, ...] = ()
    last_geometry: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "verdict": self.verdict.value,
            "evidence": list(self.evidence),
            "restart": list(self.restart),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Outcome:
        return cls(
            verdict=Verdict(document["verdict"]),
            code=str(document["code"]),
            message=str(document["message"]),
            remedy=str(document.get("remedy", "")),
            evidence=tuple(str(line) for line in document.get("evidence", ())),
            retry=dict(document.get("retry") or {}),
            restart=tuple(str(pattern) for pattern in document.get("restart") or ()),
            last_geometry=document.get("last_geometry") is True,
        )


@dataclass(frozen=True)
class Exit:
    """How the program ended: `code` as the shell gives it (128 + signal where killed), None where
    unknown. `ending` is what a batch scheduler says of it: "out_of_memory", "timeout", "cancelled";
    "" where nothing more than the code.
    """

    code: int | None
    signal: int | None = None
    timed_out: bool = False
    cancelled: bool = False
    ending: str = ""


@dataclass(frozen=True)
class Quantity:
    """One named number, word or truth value of a run."""

    name: str
    label: str
    value: float | int | str | bool
    unit: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Quantity:
        return cls(document["name"], document["label"], document["value"], document.get("unit", ""))


@dataclass(frozen=True)
class Column:
    """One column; `values` holds numbers, text, or None where there is none."""

    name: str
    label: str
    unit: str = ""
    values: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Dataset:
    """A table or a series; of a series the first column is what the others are plotted against."""

    name: str
    label: str
    kind: str  # "series" | "table"
    columns: tuple[Column, ...]

    def __post_init__(self) -> None:
        if self.kind not in ("series", "table"):
            raise ValueError(f"dataset {self.name}: kind {self.kind!r} is neither series nor table")
        if len({len(column.values) for column in self.columns}) > 1:
            raise ValueError(f"dataset {self.name}: columns of unequal length")

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "label": self.label,
            "kind": self.kind,
            "columns": [
                {**asdict(column), "values": list(column.values)} for column in self.columns
            ],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Dataset:
        columns = tuple(
            Column(c["name"], c["label"], c.get("unit", ""), tuple(c["values"]))
            for c in document["columns"]
        )
        return cls(document["name"], document["label"], document["kind"], columns)


@dataclass(frozen=True)
class Results:
    """What was extracted or analysed: quantities and datasets, each name once."""

    quantities: tuple[Quantity, ...] = ()
    datasets: tuple[Dataset, ...] = ()

    def quantity(self, name: str) -> Quantity | None:
        return next((q for q in self.quantities if q.name == name), None)

    def dataset(self, name: str) -> Dataset | None:
        return next((d for d in self.datasets if d.name == name), None)

    def __add__(self, other: Results) -> Results:
        return Results(self.quantities + other.quantities, self.datasets + other.datasets)

    def to_json(self) -> dict[str, Any]:
        return {
            "quantities": [quantity.to_json() for quantity in self.quantities],
            "datasets": [dataset.to_json() for dataset in self.datasets],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Results:
        return cls(
            tuple(Quantity.from_json(q) for q in document.get("quantities", ())),
            tuple(Dataset.from_json(d) for d in document.get("datasets", ())),
        )


@dataclass(frozen=True)
class Progress:
    """How far a run is: `done` of `of` (None where unknown) in `what`; `monitor` is the number that
    converges.
    """

    done: int
    of: int | None
    what: str
    monitor: float | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Chart:
    """How a dataset is drawn: columns by name, axis titles follow from their labels and units.

    `y` ("*",) draws every column but that of `x`; `ticks` names a dataset of (place, name) that
    marks places on x, the points of a path, say.
    """

    dataset: str
    x: str
    y: Sequence[str]
    title: str
    style: str = "line"  # "line" | "markers" | "line+markers" | "levels"
    log_y: bool = False
    ticks: str = ""
