"""The contract of a numerical software plug-in, and the run specification that portal and agent
both speak.

A plug-in opens no database, reads no settings and prints nothing. `prepare` and everything that
parses are pure: the same input gives the same files, recorded text gives the same outcome. Standard
library only, Python 3.9.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from calculations.software.parameters import Parameter, check_parameters
from calculations.software.plausible import Plausible
from calculations.software.pseudopotential import NeededPseudopotential
from calculations.software.results import Chart, Exit, Outcome, Progress, Results
from calculations.software.structure import Structure


class InvalidAnalyses(ValueError):
    """A choice of analyses that cannot be carried out; the message names the analysis and the
    remedy.
    """


class NotComputable(ValueError):
    """An analysis whose input is not there; the message says what is missing and how to get it."""


@dataclass(frozen=True)
class Analysis:
    """One step of analysis.

    `scope` "run": `compute(results, parameters)` on one run's extracted results (beside the
                  hardware).
    `scope` "calculation": `compute(runs)` with one (parameters, results) pair per valid run in
                  order (in the portal). Either returns Results, or raises NotComputable; the
                  results of the analyses named in `requires` are among the input.
    `units`       of the quantities that it gives, by name; `*` stands for any letters
    `lacks`       given (parameters, names of what is swept), says what they lack for it to find
                  anything; "" where nothing
    """

    name: str
    label: str
    scope: str
    compute: Callable[..., Results]
    requires: tuple[str, ...] = ()
    version: int = 1
    help: str = ""
    default: bool = True
    charts: tuple[Chart, ...] = ()
    units: Mapping[str, str] = field(default_factory=dict)
    lacks: Callable[[Mapping[str, Any], Sequence[str]], str] = lambda parameters, swept: ""


@dataclass(frozen=True)
class Carry:
    """Files that a run takes from another folder: shell patterns there.

    A run of a chain takes them from the run before it. With an `attempt` they come from that
    attempt of the run itself, which goes without where they are gone.
    """

    run: str
    patterns: tuple[str, ...]
    attempt: int | None = None


@dataclass(frozen=True)
class StagedFile:
    """A file that the agent fetches before the start, checked by size (bytes) and SHA-256 (hex)."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Resources:
    """What one run asks for, in the words of Slurm. Cores, memory, tasks and GPUs are totals over
    all nodes; `tasks` 0: as many as the program wants, one a core with MPI, else one a node.

    `licences`  names of the site's or the lab's licences with counts, such as "matlab:1"
    """

    cores: int = 1
    memory_mib: int = 1024
    walltime_s: int = 600
    nodes: int = 1
    tasks: int = 0
    gpus: int = 0
    gpu_type: str = ""
    partition: str = ""
    account: str = ""
    qos: str = ""
    licences: tuple[str, ...] = ()
    exclusive: bool = False

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Resources:
        """Names that this version does not know are passed over: a newer portal may ask for
        more.
        """
        known = {f.name: document[f.name] for f in fields(cls) if f.name in document}
        return cls(**{**known, "licences": tuple(known.get("licences", ()))})


@dataclass(frozen=True)
class RunSpec:
    """Everything that the agent must know to execute one attempt of one run.

    `group`  the calculation, for what a scheduler does with many runs at once (arrays)
    """

    run: str
    attempt: int
    software: str
    parameters: Mapping[str, Any]
    analyses: tuple[str, ...] = ()
    resources: Resources = field(default_factory=Resources)
    files: tuple[StagedFile, ...] = ()
    carry: Carry | None = None
    group: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> RunSpec:
        carry = document.get("carry")
        return cls(
            run=str(document["run"]),
            attempt=int(document["attempt"]),
            software=str(document["software"]),
            parameters=dict(document["parameters"]),
            analyses=tuple(document.get("analyses", ())),
            resources=Resources.from_json(document.get("resources", {})),
            files=tuple(StagedFile(**item) for item in document.get("files", ())),
            carry=Carry(carry["run"], tuple(carry["patterns"]), carry.get("attempt"))
            if carry
            else None,
            group=str(document.get("group", "")),
        )


@dataclass(frozen=True)
class InputRead:
    """What an input file says: parameters of the form, and notes for the reader."""

    parameters: Mapping[str, Any]
    notes: tuple[str, ...] = ()


class Software(ABC):
    """One program. Instances hold no state; one serves all runs.

    `parameters`  what the scientist may set, in the order of the form
    `analyses`    what may be computed from the results
    `log_file`    the file that is shown live; the program's standard output goes there
    `stdin_file`  the file given as standard input, none where empty
    `carry`       patterns of the files that a chained run takes from the run before
    `retrieve`    patterns of the files that are kept by the portal
    `main_result` name of the quantity that stands for the run in lists
    `ranks`       name of the quantity that counts the ranks of a run, where samples, start_s,
                  wall_s, reduced_s and total_s stand beside it; their scaling is then shown
    `plausible`   bounds beyond which a number is not believed
    `input_format` the structure format of a whole input file that `read_input` takes; none where ""
    `pseudo_formats` formats of pseudopotentials that it reads; none where it needs none
    `mpi`         whether it is started as one MPI task a core; else one task with threads
    `retried`     codes of outcomes for which a verdict may advise a change (Outcome.retry)
    `offered`     whether scientists may choose it; what is not is for those who run the portal
    """

    name: str
    label: str
    description: str = ""
    version: int = 1
    parameters: tuple[Parameter, ...] = ()
    analyses: tuple[Analysis, ...] = ()
    charts: tuple[Chart, ...] = ()
    log_file: str = "output.out"
    stdin_file: str = ""
    carry: tuple[str, ...] = ()
    retrieve: tuple[str, ...] = ()
    main_result: str = ""
    ranks: str = ""
    plausible: tuple[Plausible, ...] = ()
    input_format: str = ""
    pseudo_formats: tuple[str, ...] = ()
    retried: tuple[str, ...] = ()
    mpi: bool = False
    offered: bool = True

    def check(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return all parameters with types and defaults. Raises InvalidParameters with every error
        at once.
        """
        cleaned = check_parameters(self.parameters, values)
        self.validate(cleaned)
        return cleaned

    def validate(self, parameters: Mapping[str, Any]) -> None:  # noqa: B027  (an optional hook)
        """Check what concerns several parameters together. Raises InvalidParameters."""

    def structure(self, parameters: Mapping[str, Any]) -> Structure | None:
        """Return the atoms (Å) and the cell that checked `parameters` describe; None: has none."""
        return None

    def structure_parameters(self, structure: Structure) -> dict[str, Any]:
        """Return the parameters that describe `structure`; empty where the program has none."""
        return {}

    def unsupported(self, parameters: Mapping[str, Any], version: str) -> str:
        """Say what the program of that version cannot do of what is asked; "" where it can all.

        `version` is what `discover` has told of a cluster, "" where none is chosen.
        """
        return ""

    def read_input(self, text: str) -> InputRead:
        """Return what a whole input file says, but for its atoms. Raises ValueError with lines."""
        return InputRead({})

    def needed_files(self, parameters: Mapping[str, Any]) -> tuple[str, ...]:
        """Names of the files that the scientist must supply (pseudopotentials, say)."""
        return ()

    def pseudopotentials(self, parameters: Mapping[str, Any]) -> tuple[NeededPseudopotential, ...]:
        """Of the needed files those that a library of pseudopotentials may supply."""
        return ()

    @abstractmethod
    def prepare(self, parameters: Mapping[str, Any], carried: Sequence[str] = ()) -> dict[str, str]:
        """Return the input files as {name: text}; `carried` are the names of files from the run
        before.
        """

    @abstractmethod
    def command(
        self, parameters: Mapping[str, Any], resources: Resources, site: Mapping[str, str]
    ) -> list[str]:
        """Return the argument list; `site` holds this cluster's own settings for the program
        (paths, launcher).
        """

    def environment(self, site: Mapping[str, str]) -> dict[str, str]:
        """Return variables that the program needs beside the agent's own; no secrets."""
        return {}

    @abstractmethod
    def discover(self, site: Mapping[str, str]) -> str | None:
        """Return the version of the program on this machine, None where it is absent. May take
        seconds.
        """

    def progress(self, tail: str) -> Progress | None:
        """Read the newest progress from the end of the log."""
        return None

    @abstractmethod
    def judge(self, folder: Path, exit: Exit) -> Outcome:
        """Say whether the results in `folder` may be used. An exit code of 0 is no proof. Never
        raises on bad files.
        """

    @abstractmethod
    def extract(self, folder: Path) -> Results:
        """Read the small useful part of the output. Never raises on files that are cut or broken:
        it leaves out.
        """

    def assess(self, folder: Path, exit: Exit) -> tuple[Outcome, Results]:
        """Judge and extract; overridden where one reading of a large output serves both."""
        return self.judge(folder, exit), self.extract(folder)
