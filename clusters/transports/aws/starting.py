"""From a run's specification to an execution in AWS: plan, limits, upload, start.

The plan is written once, under the run's own attempt; a start that was interrupted goes on by the
plan that stands there.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from calculations.software.base import RunSpec
from calculations.software.registry import get_software
from calculations.software.torch_inference.program import planning
from calculations.software.torch_inference.program.formats import BadFile, check_safetensors
from calculations.software.torch_inference.program.function import work_of
from calculations.software.torch_inference.program.gathering import Functions
from calculations.software.torch_inference.program.partitions import Partition, partitions_of
from calculations.software.torch_inference.program.planning import PLAN
from calculations.software.torch_inference.program.problem import Problem
from calculations.software.torch_inference.program.work import INPUT, Work
from clusters.models import AwsAccess, AwsExecution
from clusters.services.agent_files import staged_file
from clusters.transports.aws import books, data, limits
from clusters.transports.aws.clients import Clients
from clusters.transports.aws.data import Stored, joined
from clusters.transports.aws.program import archive
from labportal.common.errors import DomainError
from labportal.common.storage import storage

SOFTWARE = "torch_inference"
ITEMS, FILES, PROGRAMS, MAP = "items.json", "files", "programs", "map"
MODEL_MIB = 62.0  # of weights that a seed decides


@dataclass(frozen=True, slots=True)
class Planned:
    """What was decided: `plan` as it stands in the bucket, and its SHA-256."""

    work: Work
    plan: Mapping[str, Any]
    sha256: str

    @property
    def busy(self) -> list[int]:
        return [item["rank"] for item in self.plan["ranks"] if item["partitions"]]


def root_of(access: AwsAccess, run: Any, attempt: int) -> str:
    return joined(access.prefix, str(run), str(attempt))


def function_of(access: AwsAccess) -> limits.Function:
    return limits.Function(
        access.memory_mib, access.disk_mib, access.timeout_s, access.most_at_once, access.rate
    )


class Starting:
    """Of one execution. Raises Problem where the run cannot be done here, Trouble where AWS does
    not let it.
    """

    def __init__(self, execution: AwsExecution, clients: Clients) -> None:
        self.execution, self.clients = execution, clients
        self.access = execution.cluster.aws
        self.spec = RunSpec.from_json(execution.spec)
        self.root = root_of(self.access, execution.run, execution.attempt)

    def plan(self) -> Planned:
        """Return the plan of this attempt; made now, where there is none yet."""
        content = self.clients.read(f"{self.root}/{PLAN}")
        if content is None:
            with tempfile.TemporaryDirectory(prefix="labportal-aws-") as folder:
                content = self._made(Path(folder))
            content = self.clients.write_once(f"{self.root}/{PLAN}", content)
        plan = json.loads(content)
        return Planned(work_of(plan["work"]), plan, hashlib.sha256(content).hexdigest())

    def start(self, planned: Planned) -> str:
        """Upload what functions need and start; return the execution's ARN, "" where there is
        nothing to be done.
        """
        if not planned.busy:
            return ""
        given = self._given(planned)
        limits.check_payload({**given, "rank": limits.MOST_RANKS, "retry": 0})
        items = json.dumps([{"rank": rank} for rank in planned.busy])
        self.clients.write(f"{self.root}/{ITEMS}", items.encode())
        if self.clients.head(given["program"]) is None:
            self.clients.write(given["program"], archive()[0])
        return self.clients.start(str(self.execution), given)

    def _given(self, planned: Planned) -> dict[str, Any]:
        digest = archive()[1]
        return {
            "bucket": self.access.bucket,
            "root": self.root,
            "items": f"{self.root}/{ITEMS}",
            "map": f"{self.root}/{MAP}",
            "plan_sha256": planned.sha256,
            "program": joined(self.access.prefix, PROGRAMS, f"{digest}.zip"),
            "program_sha256": digest,
            "concurrency": min(self.access.most_at_once, max(1, len(planned.busy))),
        }

    # Planning

    def _made(self, folder: Path) -> bytes:
        work = self._work()
        function = function_of(self.access)
        limits.check_work(work, function)
        partitions, objects = self._partitions(work, folder)
        weights = self._weights(work, folder)
        ranks, deadline = self._ranks(work, function, partitions)
        shares = planning.spread(len(partitions), ranks)
        weights_mib = weights.size / 2**20 if weights else MODEL_MIB
        limits.check_plan(work, function, partitions, shares, weights_mib=weights_mib)
        place = f"AWS Lambda, {self.access.region}"
        planner = Functions(work, folder, partitions, shares, place)
        plan = planner.make_plan(deadline)
        plan["work"] = {name: v for name, v in asdict(work).items() if name != "site"}
        for item, partition in zip(plan["partitions"], partitions, strict=True):
            item["tensors"] = {name: asdict(t) for name, t in partition.tensors.items()}
            if objects:
                item.update(objects[partition.index].to_json())
        if weights:
            plan["weights"].update(weights.to_json())
        plan["function"] = asdict(function)
        return (json.dumps(plan, indent=1) + "\n").encode()

    def _work(self) -> Work:
        if self.spec.software != SOFTWARE:
            raise Problem(
                "software_not_here",
                f"Functions of AWS run {SOFTWARE}, not {self.spec.software}.",
                "Choose another cluster.",
            )
        text = get_software(SOFTWARE).prepare(self.spec.parameters)[INPUT]
        resources = self.spec.resources
        work = work_of(json.loads(text))
        return replace(work, cores=resources.cores, gpus=resources.gpus, nodes=1)

    def _partitions(self, work: Work, folder: Path) -> tuple[list[Partition], list[Stored]]:
        if work.source == "generated":
            return partitions_of(work, folder, lambda _: {}), []
        if work.source == "files":
            limit = work.file_limit or len(work.files)
            objects = [self._brought(name) for name in work.files[:limit]]
        else:
            prefix = self.access.data_prefix
            objects = data.in_folder(self.clients, prefix, work.folder, work.file_limit)
        found = data.partitions_in(self.clients, work, objects, folder, self._went_on)
        return found, objects

    def _weights(self, work: Work, folder: Path) -> Stored | None:
        """Return the file of weights, its header checked; None where a seed decides them."""
        if work.weights == "seeded":
            return None
        if work.weights == "file":
            found: Stored | None = self._brought(work.weights_file)
        else:
            name = data.safe(work.weights_file)
            found = data.stored(self.clients, joined(self.access.data_prefix, name), name)
        if found is None or not found.name.lower().endswith(".safetensors"):
            raise Problem(
                "bad_weights",
                f"The weights {work.weights_file!r:.200} are no safetensors file of the bucket.",
                "Name a safetensors file that is there.",
            )
        path = folder / "weights.safetensors"
        data.bring_headers(self.clients, found, path)
        try:
            check_safetensors(path)
        except (BadFile, OSError) as error:
            words = f"{found.name} {error}."
            raise Problem("bad_weights", words, "Name a whole safetensors file.") from None
        return found

    def _brought(self, name: str) -> Stored:
        """Bring a file of the calculation into the bucket, once. Raises Problem."""
        key = f"{self.root}/{FILES}/{name}"
        try:
            file = staged_file(self.execution.cluster, uuid.UUID(str(self.execution.run)), name)
            found = data.stored(self.clients, key, name)
            if found is None or found.size != file.size:
                with storage().open(file.key) as stream:
                    self.clients.upload(key, stream, self._went_on)
                found = data.stored(self.clients, key, name)
        except DomainError as error:
            raise Problem(
                "partition_missing",
                f"{name} did not come with the run: {error.message}",
                "Add the file to the calculation.",
            ) from None
        if found is None:
            raise Problem("partition_missing", f"{name} has vanished from the bucket.")
        return found

    def _ranks(
        self, work: Work, function: limits.Function, partitions: Sequence[Partition]
    ) -> tuple[int, dict[str, Any] | None]:
        """Return the number of ranks, and how it was chosen where a deadline decides."""
        if work.ranks_by != "deadline":
            return work.ranks, None
        samples = [partition.samples for partition in partitions]
        if not sum(samples):
            return 1, {"deadline_s": work.deadline, "ranks": 1, "kept": True, "weighed": []}
        most = min(function.most_at_once, limits.MOST_RANKS)
        rate, start_s = function.samples_per_s, limits.START_S
        chosen = planning.cheapest(samples, most, rate, start_s, work.deadline)
        return chosen["ranks"], chosen

    def _went_on(self, _: int) -> None:
        books.renew_sometimes(self.execution)
