"""What a report says, apart from any form: plain values with labels and units.

Filled by gather.py, written by json.py and pdf.py. Nothing here reads the database.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from calculations.charts import ChartDocument
from calculations.states import Standing


@dataclass(frozen=True, slots=True)
class Subject:
    """The calculation itself, with where it stands and how we know."""

    id: int
    number: str
    name: str
    description: str
    project: str
    url: str
    state: str
    state_label: str
    state_since: datetime
    reason: str
    evidence: list[str]
    copied_from: str | None
    created_at: datetime
    submitted_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Trust:
    """How far the results may be trusted: `standing` as states.Standing or "", since when and by
    whom; `rules`: what the last check saw; `doubt`: what it is derived from was retracted.
    """

    standing: str
    label: str
    since: datetime | None
    by: str
    reason: str
    doubt: str
    rules: list[str]

    @property
    def warning(self) -> str:
        """What stands on each page: these results must not be used as they are."""
        if self.standing == Standing.RETRACTED:
            return f"RETRACTED: {self.reason}"
        return f"IN DOUBT: {self.doubt}" if self.doubt else ""


@dataclass(frozen=True, slots=True)
class Person:
    """`part`: made, approved, sent back."""

    name: str
    part: str


@dataclass(frozen=True, slots=True)
class Program:
    """`version` is what the program wrote into its output, or what a cluster says that it has."""

    version: str
    source: str


@dataclass(frozen=True, slots=True)
class Software:
    name: str
    label: str
    description: str
    plugin_version: int
    programs: list[Program]


@dataclass(frozen=True, slots=True)
class Resources:
    """What was asked for, and what all ended attempts used together."""

    clusters: list[str]
    cores: int
    memory_mib: int
    walltime_s: int
    further: list[tuple[str, str]]  # what else was asked for: label, words
    attempts: int
    elapsed_s: float
    cpu_s: float
    core_hours: float
    core_hours_limit: float
    gpu_hours: float
    max_rss_mib: float | None


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    label: str
    value: Any
    words: str
    unit: str
    default: Any
    default_words: str
    changed: bool
    swept: bool
    group: str


@dataclass(frozen=True, slots=True)
class Axis:
    """One thing that varies; `words` are its values as they are written."""

    name: str
    label: str
    note: str
    unit: str
    values: list[Any]
    words: list[str]


@dataclass(frozen=True, slots=True)
class Sweep:
    """`along` is the place of the axis along which runs continue one another, None without."""

    axes: list[Axis]
    mode: str
    along: int | None
    direction: str
    carry: list[str]


@dataclass(frozen=True, slots=True)
class Quantity:
    name: str
    label: str
    value: float | str | bool | None
    unit: str


@dataclass(frozen=True, slots=True)
class Head:
    """A column of a table of runs."""

    name: str
    label: str
    unit: str


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run: its last ended attempt, and its values where it is valid (else None)."""

    id: str
    index: int
    label: str
    point: list[str]
    parameters: dict[str, Any]
    state: str
    state_label: str
    reason: str
    cluster: str | None
    attempt: int
    code: str
    evidence: list[str]
    started_at: datetime | None
    finished_at: datetime | None
    elapsed_s: float | None
    cpu_s: float | None
    max_rss_mib: float | None
    tries: str  # what retries have changed
    values: list[Any]


@dataclass(frozen=True, slots=True)
class Runs:
    columns: list[Head]
    rows: list[RunRow]


@dataclass(frozen=True, slots=True)
class AnalysisRecord:
    """One execution: on a run, or (`run_index` None) on all valid runs."""

    run_index: int | None
    version: int
    input_sha256: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Analysis:
    """A chosen analysis; `quantities` are those from all runs, a run's own stand in its row."""

    name: str
    label: str
    help: str
    scope: str
    quantities: list[Quantity]
    records: list[AnalysisRecord]


@dataclass(frozen=True, slots=True)
class Data:
    """A series or a table; `csv` is the address of its numbers in the API."""

    id: int
    name: str
    label: str
    kind: str
    run_index: int | None
    analysis: str
    csv: str
    columns: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Step:
    """One change of state."""

    at: datetime
    verb: str
    source: str
    target: str
    run_index: int | None
    attempt: int | None
    actor: str
    note: str
    evidence: list[str]


@dataclass(frozen=True, slots=True)
class File:
    """`run_index` None for what was supplied."""

    name: str
    size: int
    sha256: str
    run_index: int | None
    attempt: int | None


@dataclass(frozen=True, slots=True)
class Deleted:
    """The raw files of a run that were deleted on a cluster: all that remains of them."""

    run_index: int
    cluster: str
    at: datetime
    size: int
    count: int
    files: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Provenance:
    """`request_sha256` is that of what was asked for, spelled as canonical JSON."""

    request_sha256: str
    portal_version: str
    generated_at: datetime


@dataclass(frozen=True, slots=True)
class Report:
    calculation: Subject
    main: Quantity | None
    people: list[Person]
    software: Software
    resources: Resources
    parameters: list[Parameter]
    sweep: Sweep | None
    runs: Runs
    analyses: list[Analysis]
    datasets: list[Data]
    figures: list[ChartDocument]
    timeline: list[Step]
    files: list[File]
    provenance: Provenance
    trust: Trust
    deleted: list[Deleted] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
