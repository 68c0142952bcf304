"""From an execution that has ended to the report of a run: what ranks left is fetched, reduced by
the plug-in, judged and extracted as on any cluster. What is missing is named, never passed over.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from calculations.software.base import RunSpec
from calculations.software.registry import get_software
from calculations.software.results import Exit
from calculations.software.torch_inference.program.formats import Tensor
from calculations.software.torch_inference.program.function import BODIES, RANKS
from calculations.software.torch_inference.program.gathering import Functions, rate
from calculations.software.torch_inference.program.partitions import Partition
from calculations.software.torch_inference.program.planning import PLAN
from calculations.software.torch_inference.program.problem import Problem
from calculations.software.torch_inference.program.rank import STATISTICS
from calculations.software.torch_inference.program.results import RESULTS
from clusters.agent.evaluation import evaluate
from clusters.agent.protocol import MAX_RETRIEVED_FILE
from clusters.models import AwsAccess, AwsExecution
from clusters.services.agent_files import keep_file
from clusters.transports.aws import books
from clusters.transports.aws.clients import Clients
from clusters.transports.aws.starting import SOFTWARE, Planned, root_of
from labportal.common.errors import DomainError

AT_ONCE = 12
FAILED = 3  # exit code: the program itself says why
LOG, ERRORS = "output.out", "stderr.txt"
TRANSITIONS, TRANSITIONS_OF_A_RANK = 4, 2
NEW_WEIGHT = 0.5  # of the newest run in the rate that is foreseen

Documents = dict[int, dict[str, Any]]


def ranks_done(clients: Clients, root: str) -> set[int]:
    """The ranks that have left word, by the names of what they left."""
    names = (PurePosixPath(item["Key"]).stem for item in clients.listed(f"{root}/{RANKS}/"))
    return {int(name) for name in names if name.isdigit()}


def report_of_problem(execution: AwsExecution, problem: Problem) -> dict[str, Any]:
    """The report of a run that was refused before anything was started."""
    with tempfile.TemporaryDirectory(prefix="labportal-aws-") as name:
        folder = Path(name)
        write_problem(folder, problem)
        return _evaluated(execution, folder, Exit(FAILED))


def write_problem(folder: Path, problem: Problem) -> None:
    document = {"format": 1, "problem": problem.to_json()}
    (folder / RESULTS).write_text(json.dumps(document) + "\n", encoding="utf-8")
    (folder / ERRORS).write_text(f"{problem.code}: {problem.message}\n", encoding="utf-8")


def _evaluated(execution: AwsExecution, folder: Path, exit: Exit) -> dict[str, Any]:
    spec = RunSpec.from_json(execution.spec)
    if spec.software != SOFTWARE:
        spec = replace(spec, software=SOFTWARE, analyses=())
    report = evaluate(get_software, spec, folder, exit)
    return {**report, "exit": {"code": exit.code, "signal": None}}


class Collecting:
    """Of one execution. `told` is what AWS says of it, None where nothing had to be started."""

    def __init__(
        self,
        execution: AwsExecution,
        clients: Clients,
        planned: Planned,
        told: Mapping[str, Any] | None,
    ) -> None:
        self.execution, self.clients, self.planned = execution, clients, planned
        self.told = told or {}
        self.access: AwsAccess = execution.cluster.aws
        self.root = root_of(self.access, execution.run, execution.attempt)
        self.documents: Documents = {}

    def report(self) -> dict[str, Any]:
        """Return outcome, results and accounting. Raises Trouble."""
        with tempfile.TemporaryDirectory(prefix="labportal-aws-") as name:
            folder = Path(name)
            (folder / PLAN).write_bytes(self.clients.read(f"{self.root}/{PLAN}") or b"")
            exit = self._gathered(folder)
            found = _evaluated(self.execution, folder, exit)
            return {**found, **self._use(), **self._kept(folder)}

    def _gathered(self, folder: Path) -> Exit:
        gathering = self._functions(folder)
        try:
            self.documents = self._fetched()
            self._refuse_ended(gathering)
            gathering.gather(self.documents, self._body, self._about)
            self._learn()
            return Exit(0, timed_out=self.execution.timed_out)
        except Problem as problem:
            write_problem(folder, problem)
            return Exit(FAILED, timed_out=self.execution.timed_out)
        finally:
            log = "".join(f"{line}\n" for line in gathering.lines)
            (folder / LOG).write_text(log, encoding="utf-8")

    def _functions(self, folder: Path) -> Functions:
        plan = self.planned.plan
        partitions = [
            Partition(
                item["index"],
                item["name"],
                item["samples"],
                str(item.get("key", "")),
                {name: _tensor(tensor) for name, tensor in item["tensors"].items()},
            )
            for item in plan["partitions"]
        ]
        shares = [rank["partitions"] for rank in plan["ranks"]]
        began = self._moment("startDate") or self.execution.started_at or self.execution.since
        return Functions(
            self.planned.work,
            folder,
            partitions,
            shares,
            plan["nodes"][0]["host"],
            began.timestamp(),
            plan,
            self.planned.sha256,
        )

    def _fetched(self) -> Documents:
        """Return what ranks left, however many there are."""
        ranks = sorted(ranks_done(self.clients, self.root) & set(self.planned.busy))
        found: Documents = {}
        with ThreadPoolExecutor(AT_ONCE) as pool:
            contents = pool.map(lambda r: self.clients.read(f"{self.root}/{RANKS}/{r}.json"), ranks)
            for rank, content in zip(ranks, contents, strict=True):
                books.renew_sometimes(self.execution)
                document = _json(content)
                if document is not None and document.get("rank") == rank:
                    found[rank] = document
        return found

    def _refuse_ended(self, gathering: Functions) -> None:
        """Name an execution that did not succeed by what it says, unless a rank says it better.
        Raises Problem.
        """
        status = str(self.told.get("status", "SUCCEEDED"))
        if status == "SUCCEEDED" or self.execution.timed_out:
            return
        if any(document.get("problem") for document in self.documents.values()):
            return
        lines = [
            f"{name}: {self.told[name]}"[:1000] for name in ("error", "cause") if name in self.told
        ]
        missing = [r for r in gathering.busy_ranks if r not in self.documents]
        if missing:
            named = ", ".join(map(str, missing[:8]))
            lines.append(f"no result of {len(missing)} ranks: {named}")
        raise Problem(
            "execution_failed",
            f"The execution in AWS ended as {status.lower().replace('_', ' ')}.",
            "Look at the functions' log (CloudWatch). For want of memory or time, deploy functions "
            "with more of it or take more ranks; for want of concurrency, ask for fewer.",
            *lines,
        )

    def _body(self, index: int) -> bytes:
        books.renew_sometimes(self.execution)
        content = self.clients.read(f"{self.root}/{BODIES}/{index}.f32")
        if content is None:
            raise ValueError(f"the predictions of partition {index} are not in the bucket")
        return content

    def _about(self, documents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """What the functions have used, and its price: the memory that they were given, for as
        long as they ran.
        """
        access = self.access
        retries = sum(int(d.get("retry", 0)) for d in documents)
        memory = max((int(d["memory_mib"]) for d in documents), default=access.memory_mib)
        billed_s = sum(float(d["billed_s"]) for d in documents)
        gb_s = sum(float(d["billed_s"]) * int(d["memory_mib"]) / 1024 for d in documents)
        requests = len(documents) + retries
        transitions = TRANSITIONS + TRANSITIONS_OF_A_RANK * len(documents) + retries
        price = (
            gb_s * float(access.price_gb_second)
            + requests * float(access.price_request)
            + transitions * float(access.price_transition)
        )
        return {
            "memory_mib": memory,
            "billed_s": round(billed_s, 3),
            "gb_s": round(gb_s, 6),
            "requests": requests,
            "transitions": transitions if documents else 0,
            "cold_starts": sum(bool(d.get("cold")) for d in documents),
            "price": round(price, 10) if documents else 0.0,
        }

    def _learn(self) -> None:
        """Keep how fast a function is, by which the next run's time is foreseen."""
        found = rate(list(self.documents.values()))
        if found is None:
            return
        before = self.access.learned_samples_per_s
        learned = found if before is None else before + NEW_WEIGHT * (found - before)
        AwsAccess.objects.filter(pk=self.access.pk).update(learned_samples_per_s=learned)

    def _use(self) -> dict[str, Any]:
        began, ended = self._moment("startDate"), self._moment("stopDate")
        elapsed = (ended - began).total_seconds() if began and ended else None
        whole = [d for d in self.documents.values() if d.get("statistics")]
        about = self._about(whole)
        lines = (
            f"{about['gb_s']:.3f} GB-s billed, {about['requests']} requests of functions",
            f"{about['transitions']} transitions of the state machine",
            f"{about['price']:.8f} by the cluster's prices",
        )
        return {
            "usage": {
                "elapsed_s": elapsed,
                "cpu_s": sum(_told(d, "cpu_s") for d in whole) if whole else None,
                "max_rss_mib": max((_told(d, "peak_mib") for d in whole), default=None),
            },
            "accounting": {
                "kind": "aws-stepfunctions",
                "id": str(self.execution),
                "state": str(self.told.get("status", "")),
                "nodes": self.planned.plan["nodes"][0]["host"],
                "started_at": began.isoformat() if began else "",
                "finished_at": ended.isoformat() if ended else "",
                "elapsed_s": elapsed,
                "evidence": list(lines),
            },
        }

    def _moment(self, name: str) -> datetime | None:
        value = self.told.get(name)
        return value if isinstance(value, datetime) else None

    def _kept(self, folder: Path) -> dict[str, Any]:
        """Keep the files that people ask for."""
        sent: list[dict[str, Any]] = []
        left_out: list[dict[str, Any]] = []
        for name in get_software(SOFTWARE).retrieve:
            path = folder / name
            if not path.is_file():
                continue
            size = path.stat().st_size
            try:
                sent.append(self._keep(path, name, size))
            except DomainError as error:
                left_out.append({"name": name, "size": size, "why": error.message})
        return {"files": sent, "files_left_out": left_out}

    def _keep(self, path: Path, name: str, size: int) -> dict[str, Any]:
        if size > MAX_RETRIEVED_FILE:
            raise DomainError(f"larger than {MAX_RETRIEVED_FILE // 2**20} MiB")
        with path.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
            stream.seek(0)
            run = uuid.UUID(str(self.execution.run))
            attempt = self.execution.attempt
            keep_file(self.execution.cluster, run, attempt, name, stream, sha256=sha256)
        return {"name": name, "size": size, "sha256": sha256}


def _tensor(document: Mapping[str, Any]) -> Tensor:
    return Tensor(**{**document, "shape": tuple(document["shape"])})


def _told(document: Mapping[str, Any], name: str) -> float:
    return float(document["statistics"][STATISTICS.index(name)])


def _json(content: bytes | None) -> dict[str, Any] | None:
    """Return a rank's document; one that cannot be read counts as missing."""
    try:
        document = json.loads(content or b"")
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
