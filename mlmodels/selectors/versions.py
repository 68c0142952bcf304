"""Versions of a model side by side: in what they differ, and what became of each."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import OuterRef, Prefetch, QuerySet, Subquery

from clusters.agent.protocol import ReplicaState
from labportal.common.templatetags.labportal import file_size, mebibytes
from mlmodels.models import ContractCheck, ModelVersion, RegisteredModel, Replica
from mlmodels.models.version import without_heavy
from mlmodels.states import Purpose

MOST_VERSIONS = 50


@dataclass(frozen=True, slots=True)
class Row:
    """`ready` of `replicas` answer; `standing` says what it is to the model, in a word."""

    version: ModelVersion
    standing: str
    replicas: int
    ready: int
    check: ContractCheck | None

    @property
    def serves(self) -> bool:
        return self.standing == "serves"


@dataclass(frozen=True, slots=True)
class Difference:
    """`long`: its words are lines rather than a value."""

    label: str
    before: str
    after: str
    long: bool = False

    @property
    def differs(self) -> bool:
        return self.before != self.after


def versions_of(model: RegisteredModel) -> QuerySet[ModelVersion]:
    """For lists: without their long columns."""
    found = model.versions.select_related("created_by", "approved_by").order_by("-number")
    return found.defer(*without_heavy(""))


def rows_of(model: RegisteredModel) -> list[Row]:
    """The newest; two queries more than the versions themselves."""
    last = ContractCheck.objects.filter(version=OuterRef("version")).order_by("-began_at")
    checks = ContractCheck.objects.filter(pk=Subquery(last.values("pk")[:1]))
    newest = Prefetch("contract_checks", checks, to_attr="last_checks")
    found = list(versions_of(model).prefetch_related(newest)[:MOST_VERSIONS])
    counts, ready = _replicas(model)
    return [
        Row(
            version,
            standing_of(model, version),
            counts[version.pk],
            ready[version.pk],
            next(iter(version.last_checks), None),
        )
        for version in found
    ]


def standing_of(model: RegisteredModel, version: ModelVersion) -> str:
    """What a version is to its model now; "" where it is one of many."""
    if version.pk == model.serving_id:
        return "serves" if version.pk == model.current_id else "serves until the next is ready"
    if version.pk == model.current_id:
        return "shall serve"
    return "served before" if version.pk == model.previous_id else ""


def differences(before: ModelVersion, after: ModelVersion) -> list[Difference]:
    """Every field of the two, those that differ first."""
    pairs = zip(facts(before), facts(after), strict=True)
    found = [Difference(label, one, other, long) for (label, one, long), (_, other, _) in pairs]
    return sorted(found, key=lambda difference: not difference.differs)


def facts(version: ModelVersion) -> list[tuple[str, str, bool]]:
    """(label, words, whether they are lines) of each field; secrets only by their names."""
    files = ""
    if version.files_name:
        digest = version.files_sha256[:12]
        files = f"{version.files_name}, {file_size(version.files_size)}, sha256 {digest}"
    return [
        ("Runtime", version.get_runtime_display(), False),
        ("Image", version.image, False),
        ("Folder", version.folder, False),
        ("Command", " ".join(map(str, version.command)), False),
        ("Files", files, False),
        ("Environment", _lines(version.environment), True),
        ("Secrets", ", ".join(version.secret_names), False),
        ("Cores", str(version.cores), False),
        ("Memory", mebibytes(version.memory_mib), False),
        ("GPUs", " ".join(filter(None, (str(version.gpus), version.gpu_type))), False),
        ("Read-only root", "yes" if version.read_only_root else "no", False),
        ("Start-up window", f"{version.startup_s} s", False),
        ("Takes", ", ".join(version.accepts), False),
        ("Input schema", _document(version.input_schema), True),
        ("Output schema", _document(version.output_schema), True),
        ("Example", version.example, True),
    ]


def _replicas(model: RegisteredModel) -> tuple[Counter[int], Counter[int]]:
    rows: Sequence[tuple[int, str]] = Replica.objects.filter(
        version__model=model, purpose=Purpose.SERVE, removed_at=None
    ).values_list("version", "state")
    return (
        Counter(version for version, _ in rows),
        Counter(version for version, state in rows if state == ReplicaState.READY),
    )


def _lines(environment: dict[str, Any]) -> str:
    return "\n".join(f"{name}={value}" for name, value in sorted(environment.items()))


def _document(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) if schema else ""
