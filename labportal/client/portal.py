"""A portal and its calculations as objects, for notebooks and scripts.

portal = Portal()                                   # the profile of `labportal login`
water = portal.submit(name="Water", software="pyscf", parameters={"basis": "def2-svp"})
water.wait().frame()
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from labportal.client import live, schema, transfer
from labportal.client.errors import ClientError, Invalid, NotFound
from labportal.client.profiles import Profile, Profiles
from labportal.client.transport import Transport, checked_url
from labportal.client.words import TERMINAL, numeral


class Portal:
    """Signed in as the profile says; `call` reaches every operation by its name."""

    def __init__(self, profile: str = "", *, transport: Transport | None = None) -> None:
        if transport is None:
            profiles = Profiles()
            transport = Transport(profiles.get(profile), profiles)
        self.transport = transport
        self._schema: schema.Schema | None = None

    @classmethod
    def sign_in(cls, url: str, username: str, password: str, *, allow_http: bool = False) -> Portal:
        """Sign in for as long as this object lives; nothing is stored."""
        profile = Profile("memory", checked_url(url, allow_http=allow_http), username)
        transport = Transport(profile)
        transport.sign_in(username, password)
        return cls(transport=transport)

    @property
    def url(self) -> str:
        return self.transport.profile.url

    @property
    def schema(self) -> schema.Schema:
        if self._schema is None:
            self._schema = schema.load(self.transport)
        return self._schema

    def offers(self, operation: str) -> bool:
        """Whether this portal has such an operation."""
        return operation in self.schema.operations

    def call(self, operation: str, **arguments: Any) -> Any:
        """Call an operation of the interface: `portal.call("calculation_list", state="valid")`.

        Returns the decoded answer, text or bytes where it is no JSON. Raises ClientError.
        """
        given = self.schema.operation(operation).call(arguments, self.schema)
        response = self.transport.request(
            given.method, given.path, params=given.query, json=given.body
        )
        if not response.content:
            return None
        kind = response.headers.get("Content-Type", "").partition(";")[0]
        if kind == "application/json":
            return response.json()
        return response.text if kind.startswith("text/") else response.content

    def pages(self, operation: str, *, limit: int = 0, **arguments: Any) -> Iterator[Any]:
        """Yield the items of a list, page after page; at most `limit` where it is not 0."""
        answer = self.call(operation, **arguments)
        count = 0
        while True:
            if isinstance(answer, list):  # a list without pages
                answer = {"results": answer}
            for item in answer["results"]:
                if limit and count >= limit:
                    return
                yield item
                count += 1
            following = answer.get("next")
            if not following or (limit and count >= limit):
                return
            # The portal may know itself by another name than this machine does.
            path, _, query = str(following).partition("?")
            path = "/" + path.split("://", 1)[-1].partition("/")[2] if "://" in path else path
            answer = self.transport.request("GET", f"{path}?{query}").json()

    def address(self, operation: str, **arguments: Any) -> str:
        """The path of a download."""
        return self.schema.operation(operation).call(arguments, self.schema).path

    def calculation(self, number: int | str) -> Calculation:
        """Return the calculation of that number: 17, "17" or "C-17"."""
        key = numeral(number)
        return Calculation(self, self.call("calculation_retrieve", id=key))

    def calculations(self, *, limit: int = 0, **filters: Any) -> Iterator[Calculation]:
        """Yield calculations, the newest first: `state=`, `software=`, `project=`, `text=`."""
        for row in self.pages("calculation_list", limit=limit, **filters):
            yield Calculation(self, row)

    def submit(
        self,
        *,
        files: Iterable[str | Path] = (),
        draft: bool = False,
        progress: transfer.Progress = lambda _: None,
        **spec: Any,
    ) -> Calculation:
        """Create a calculation, send its files, and submit it unless it shall stay a draft.

        Where the portal refuses, what was stored stays a draft, which the error names.
        """
        made = Calculation(self, self.call("calculation_create", **spec))
        try:
            for file in files:
                made.attach(file, progress=progress)
            if not draft:
                self.call("calculation_submit", id=made.id)
        except ClientError as error:
            error.remedy = f"{error.remedy} It is kept as the draft {made.number}.".strip()
            raise
        return made.refresh()

    def add_structure(self, file: str | Path, **about: Any) -> dict[str, Any]:
        """Keep the structure of a file in the library; one that is there already is returned."""
        given = self.schema.operation("structure_create").call(about, self.schema)
        files = [("file", _content(file))]
        answer = self.transport.request("POST", given.path, data=given.body, files=files)
        return dict(answer.json())

    def add_pseudopotentials(self, family: str, files: Iterable[str | Path]) -> dict[str, Any]:
        """Add files, or a zip of them, to a family of the library."""
        path = self.schema.operation("pseudopotential_create").path
        sent = [("files", _content(file)) for file in files]
        answer = self.transport.request("POST", path, data={"family": family}, files=sent)
        return dict(answer.json())


class Run:
    """One run of a calculation."""

    def __init__(self, calculation: Calculation, document: Mapping[str, Any]) -> None:
        self.calculation = calculation
        self.document = dict(document)
        self.id = str(document["id"])
        self.number = int(document["index"]) + 1
        self.state = str(document["state"])

    def __repr__(self) -> str:
        return f"<Run {self.number} of {self.calculation.number}: {self.state}>"

    @property
    def quantities(self) -> dict[str, Any]:
        return {q["name"]: q["value"] for q in self.document["quantities"]}

    @property
    def detail(self) -> dict[str, Any]:
        """Attempts, datasets and files, fetched when first asked for."""
        if "datasets" not in self.document:
            self.document = self.calculation.portal.call("run_retrieve", id=self.id)
        return self.document

    def dataset(self, name: str) -> dict[str, list[Any]]:
        """The columns of a dataset by name."""
        return columns(self.detail["datasets"], name)

    def files(self) -> list[dict[str, Any]]:
        return list(self.detail["output_files"])

    def fetch(
        self,
        file: Mapping[str, Any],
        folder: str | Path,
        *,
        progress: transfer.Progress = lambda _: None,
    ) -> Path:
        """Download one of its files into the folder."""
        portal = self.calculation.portal
        place = portal.address("run_files", id=self.id, file_id=str(file["id"]))
        target = Path(folder) / transfer.safe_name(file["name"])
        return transfer.download(
            portal.transport, place, target, sha256=file["sha256"], progress=progress
        )


class Calculation:
    """A calculation as it was when last looked at; `refresh` looks again."""

    def __init__(self, portal: Portal, document: Mapping[str, Any]) -> None:
        self.portal = portal
        self.document = dict(document)
        self.id = int(document["id"])

    def __repr__(self) -> str:
        return f"<Calculation {self.number} {self.name!r}: {self.state}>"

    def __getattr__(self, name: str) -> Any:
        """What the portal tells of it: `name`, `state`, `software`, `main_value` and so on."""
        document = self.__dict__.get("document", {})
        if name in document:
            return document[name]
        raise AttributeError(name)

    @property
    def url(self) -> str:
        """The address of its page."""
        return f"{self.portal.url}{self.document['url']}"

    @property
    def ended(self) -> bool:
        return self.state in TERMINAL

    @property
    def runs(self) -> list[Run]:
        if "runs" not in self.document:
            self.refresh()
        return [Run(self, run) for run in self.document["runs"]]

    def refresh(self) -> Calculation:
        self.document = self.portal.call("calculation_retrieve", id=self.id)
        return self

    def verb(self, name: str, **arguments: Any) -> Calculation:
        """Do what the page's button does: "cancel", "retry", "approve" and so on."""
        self.portal.call(f"calculation_{name}", id=self.id, **arguments)
        return self.refresh()

    def cancel(self, note: str = "") -> Calculation:
        return self.verb("cancel", note=note)

    def retry(self, runs: Sequence[int] | None = None, *, advised: bool = False) -> Calculation:
        return self.verb("retry", runs=runs, advised=advised)

    def attach(
        self, file: str | Path, *, progress: transfer.Progress = lambda _: None
    ) -> dict[str, Any]:
        """Send an input file of a draft."""
        source = Path(file)
        place = self.portal.address("calculation_files_put", id=self.id, name=source.name)
        return transfer.upload(self.portal.transport, place, source, progress=progress)

    def changes(self) -> Iterator[list[live.Event]]:
        """Yield after every piece of news, looked up already, until the calculation has ended."""
        self.refresh()
        yield []
        if self.ended:
            return
        for news in live.events(self.portal.transport, [f"calculation:{self.id}"]):
            if not news or any(event["type"] != "run.progress" for event in news):
                self.refresh()
            yield news
            if self.ended:
                return

    def wait(
        self, timeout: float | None = None, *, told: Callable[[Calculation], Any] = lambda _: None
    ) -> Calculation:
        """Wait until it has ended, whatever the end. Raises TimeoutError."""
        deadline = None if timeout is None else time.monotonic() + timeout
        for _ in self.changes():
            told(self)
            if deadline is not None and time.monotonic() > deadline and not self.ended:
                raise TimeoutError(f"{self.number} is still {self.state} after {timeout:g} s")
        return self

    def results(self) -> list[dict[str, Any]]:
        """One row per run: its number, what is varied, its state, its quantities by name."""
        table = self.table()
        names = [column["name"] for column in table["columns"]]
        return [dict(zip(names, row, strict=True)) for row in table["rows"]]

    def table(self) -> dict[str, Any]:
        """The same with labels and units: {"columns": [...], "rows": [...]}."""
        return dict(self.portal.call("calculation_runs_json", id=self.id))

    def frame(self) -> Any:
        """The results as a pandas DataFrame; units stand in `frame.attrs["units"]`."""
        try:
            import pandas
        except ImportError:
            raise ClientError("pandas is not installed.", remedy="pip install pandas") from None
        table = self.table()
        frame = pandas.DataFrame(table["rows"], columns=[c["name"] for c in table["columns"]])
        frame.attrs["units"] = {c["name"]: c["unit"] for c in table["columns"]}
        return frame

    @property
    def quantities(self) -> dict[str, Any]:
        """What was found across all runs."""
        return {q["name"]: q["value"] for q in self.document["quantities"]}

    def dataset(self, name: str) -> dict[str, list[Any]]:
        """The columns of a dataset across all runs."""
        return columns(self.document["datasets"], name)

    def fetch(
        self,
        folder: str | Path = ".",
        *,
        pattern: str = "*",
        progress: transfer.Progress = lambda _: None,
    ) -> list[Path]:
        """Download the files of its runs; with several runs each gets a folder of its own."""
        found = []
        for run, file, place in self.files(folder, pattern=pattern):
            found.append(run.fetch(file, place, progress=progress))
        return found

    def files(
        self, folder: str | Path = ".", *, pattern: str = "*", runs: Sequence[int] = ()
    ) -> list[tuple[Run, dict[str, Any], Path]]:
        """Return (run, file, folder that it goes to) of each file whose name fits the pattern."""
        several = len(self.runs) > 1
        return [
            (run, file, Path(folder) / f"run-{run.number}" if several else Path(folder))
            for run in self.runs
            if not runs or run.number in runs
            for file in run.files()
            if Path(file["name"]).match(pattern)
        ]


def _content(file: str | Path) -> tuple[str, bytes]:
    source = Path(file)
    try:
        return source.name, source.read_bytes()
    except OSError as error:
        raise Invalid(f"{source} cannot be read: {error.strerror}.") from None


def columns(datasets: Sequence[Mapping[str, Any]], name: str) -> dict[str, list[Any]]:
    for dataset in datasets:
        if dataset["name"] == name:
            return {column["name"]: column["values"] for column in dataset["columns"]}
    known = ", ".join(str(dataset["name"]) for dataset in datasets) or "none"
    raise NotFound(f"There is no dataset {name!r}; known are {known}.", remedy="")
