"""One rank as a function of a cloud: reads its share of the plan, infers it, leaves predictions and
sums in the bucket. The same call, repeated, leaves the same.

Nothing is passed between functions: what they add up to is gathered by who planned (gathering.py).
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from calculations.software.torch_inference.program import sums
from calculations.software.torch_inference.program.formats import BadFile, read_header
from calculations.software.torch_inference.program.inference import Inference, load_network
from calculations.software.torch_inference.program.measuring import begun, cpu_s, peak_mib, system
from calculations.software.torch_inference.program.partitions import REMEDY, Partition
from calculations.software.torch_inference.program.planning import PLAN
from calculations.software.torch_inference.program.problem import Problem
from calculations.software.torch_inference.program.rank import STATISTICS
from calculations.software.torch_inference.program.work import Site, Work

RANKS, BODIES = "ranks", "predictions"  # folders of an execution
LEFT_S = 5.0  # of a function's time, for saying that it was not enough
MORE_RANKS = "Take more ranks, functions with more memory (and so more cores), or less data."


def work_of(document: Mapping[str, Any]) -> Work:
    """The work as a plan spells it; what this version does not know is passed over."""
    known = {f.name for f in fields(Work)} - {"site"}
    values = {name: value for name, value in document.items() if name in known}
    values["files"] = tuple(values.get("files", ()))
    return Work(**values, site=Site())


def run(
    event: Mapping[str, Any], context: Any, client: Any, *, began: float, cold: bool
) -> dict[str, Any]:
    """Do the work of `event`'s rank. `began`: of this call, by time.monotonic. Raises Problem,
    after it has left word of it.
    """
    return _Rank(event, context, client, began=began, cold=cold).run()


class _Rank:
    def __init__(
        self, event: Mapping[str, Any], context: Any, client: Any, *, began: float, cold: bool
    ) -> None:
        self.bucket, self.root = str(event["bucket"]), str(event["root"])
        self.number, self.retry = int(event["rank"]), int(event.get("retry", 0))
        self.context, self.client = context, client
        self.began, self.cold = began, cold
        self.event = event
        self.spent = dict.fromkeys(STATISTICS, 0.0)
        self.rows: list[dict[str, Any]] = []
        self.done = 0
        self.document: dict[str, Any] = {
            "format": 1,
            "rank": self.number,
            "retry": self.retry,
            "began_at": time.time(),
        }

    def run(self) -> dict[str, Any]:
        used = cpu_s()
        try:
            self._compute(self._plan())
        except Problem as problem:
            self.document["problem"] = problem.to_json()
            self._leave_word(used)
            raise
        self._leave_word(used)
        return {"rank": self.number, "samples": self.done}

    def _plan(self) -> dict[str, Any]:
        """Raises Problem for a plan that is not the one of this execution."""
        content = self._read(f"{self.root}/{PLAN}")
        found = hashlib.sha256(content).hexdigest()
        self.document["plan_sha256"] = found
        if found != self.event["plan_sha256"]:
            raise Problem(
                "plan_changed",
                "The plan in the bucket is not the one that this execution was started with.",
                "Nothing else may write below the portal's prefix of the bucket; submit again.",
            )
        return json.loads(content)

    def _compute(self, plan: Mapping[str, Any]) -> None:
        began = time.monotonic()
        import torch

        self.document.update(torch=torch.__version__, import_s=round(time.monotonic() - began, 4))
        work, spent = work_of(plan["work"]), self.spent
        began = time.monotonic()
        weights = plan["weights"]
        path = self._kept(weights) if weights.get("key") else None
        network = load_network(work.model, work, path)
        held = [*network.parameters(), *network.buffers()]
        spent["model_mib"] = sum(t.numel() * t.element_size() for t in held) / 2**20
        inference = Inference(work, network, 0, self._batch_done)
        spent["model_s"] = time.monotonic() - began
        share = next(r["partitions"] for r in plan["ranks"] if r["rank"] == self.number)
        for index in share:
            self._partition(work, inference, plan["partitions"][index])

    def _partition(self, work: Work, inference: Inference, described: Mapping[str, Any]) -> None:
        began = time.monotonic()
        partition, path = self._fetched(work, described)
        fetched = time.monotonic() - began
        try:
            done = inference.run(partition)
        finally:
            if path is not None:
                path.unlink(missing_ok=True)
        bits = work.model.bits(partition.tensors) * partition.samples
        row = sums.of_partition(done.predictions, done.truth, batches=done.batches, bits=bits)
        body = done.predictions.tobytes()
        if done.truth is not None:
            body += done.truth.tobytes()
        began = time.monotonic()
        self._write(f"{BODIES}/{partition.index}.f32", body)
        spent = self.spent
        spent["write_s"] += time.monotonic() - began
        spent["partitions"] += 1
        spent["samples"] += partition.samples
        spent["batches"] += done.batches
        spent["load_s"] += fetched + done.load_s
        spent["compute_s"] += done.compute_s
        spent["data_mib"] = max(spent["data_mib"], partition.size / 2**20)
        self.done += partition.samples
        self.rows.append(
            {
                "partition": partition.index,
                "samples": partition.samples,
                "known": done.truth is not None,
                "sums": row,
                "load_s": round(fetched + done.load_s, 6),
                "compute_s": round(done.compute_s, 6),
                "at": time.time(),
            }
        )

    def _fetched(self, work: Work, described: Mapping[str, Any]) -> tuple[Partition, Path | None]:
        """Return a partition that lies here, and its file. Raises Problem where it is another
        than was planned.
        """
        index, name, samples = described["index"], described["name"], described["samples"]
        if not described.get("key"):
            made_up = work.model.generated(samples)
            return Partition(index, name, samples, "", made_up), None
        path = self._folder() / f"partition-{os.getpid()}-{id(self)}{Path(name).suffix.lower()}"
        try:
            self._fetch(described, path)
            tensors = read_header(path)
            counted = work.model.samples(tensors)
        except (BadFile, ValueError) as error:
            path.unlink(missing_ok=True)
            raise Problem("bad_partition", f"{name} {error}.", REMEDY) from None
        if counted != samples:
            path.unlink(missing_ok=True)
            raise Problem("bad_partition", f"{name} has {counted} rows, not {samples}.", REMEDY)
        kept = {f.name: tensors[f.name] for f in work.model.fields if f.name in tensors}
        return Partition(index, name, samples, str(path), kept), path

    def _kept(self, described: Mapping[str, Any]) -> Path:
        """Return the weights, fetched once for all calls of this function's machine."""
        digest = hashlib.sha256(f"{described['key']} {described['etag']}".encode()).hexdigest()
        path = self._folder() / f"weights-{digest}.safetensors"
        if not path.is_file():
            draft = path.with_suffix(f".{os.getpid()}-{id(self)}")
            self._fetch(described, draft)
            draft.replace(path)
        return path

    def _folder(self) -> Path:
        folder = Path(tempfile.gettempdir()) / "labportal"
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def _fetch(self, described: Mapping[str, Any], path: Path) -> None:
        """Raises Problem where the object is not the one that was planned."""
        name = described.get("name") or described["key"]
        found = self._get(described["key"], described["etag"], str(name))
        size = 0
        with path.open("wb") as stream:
            for chunk in found["Body"].iter_chunks(2**20):
                stream.write(chunk)
                size += len(chunk)
        if size != described["size"]:
            raise Problem("data_changed", f"{name} has {size} bytes, not {described['size']}.")

    def _get(self, key: str, etag: str, name: str) -> Any:
        from botocore.exceptions import ClientError

        try:
            return self.client.get_object(Bucket=self.bucket, Key=key, IfMatch=etag)
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code"))
            if code not in ("PreconditionFailed", "412", "NoSuchKey", "404", "AccessDenied"):
                raise
            if code == "AccessDenied":
                words = f"{name} may not be read by the function."
                raise Problem("data_refused", words, "Let the function's role read it.") from None
            words = f"{name} was changed or deleted since the plan was made."
            raise Problem("data_changed", words, "Submit the run again.") from None

    def _read(self, key: str) -> bytes:
        return self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()

    def _write(self, name: str, content: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=f"{self.root}/{name}", Body=content)

    def _batch_done(self) -> None:
        left = self.context.get_remaining_time_in_millis() / 1000
        if left < LEFT_S:
            raise Problem(
                "function_time",
                f"Rank {self.number} had done {self.done:,} samples of whole partitions when its "
                "function's time was nearly over.",
                MORE_RANKS,
            )

    def _leave_word(self, used: float) -> None:
        """Write what came of it; the billed time is this function's own count, to the millisecond
        above, with the start of its machine where that was cold.
        """
        spent = self.spent
        spent["wall_s"] = time.monotonic() - self.began
        spent["cpu_s"] = cpu_s() - used
        spent["peak_mib"] = peak_mib()
        since = min(begun(), self.began) if self.cold else self.began
        billed = math.ceil((time.monotonic() - since) * 1000) / 1000
        self.document.update(
            statistics=[round(float(spent[name]), 6) for name in STATISTICS],
            partitions=self.rows,
            total=sums.added(row["sums"] for row in self.rows),
            ended_at=time.time(),
            billed_s=billed,
            cold=self.cold,
            memory_mib=int(self.context.memory_limit_in_mb),
            request=str(self.context.aws_request_id),
            machine=system(),
        )
        name = f"{RANKS}/{self.number}.json"
        self._write(name, (json.dumps(self.document) + "\n").encode())
