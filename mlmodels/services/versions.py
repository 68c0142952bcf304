"""Versions of a model: added with their files and secrets, approved; never changed. What is asked
of one is checked in `version_checks`.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any, BinaryIO

from django.db import transaction
from django.db.models import Max

from labportal.accounts.models import User
from labportal.accounts.roles import Can, can, require
from labportal.common.clock import now
from labportal.common.errors import InvalidInput
from labportal.common.sealing import seal, unseal
from labportal.common.storage import storage
from mlmodels.models import ModelVersion, RegisteredModel
from mlmodels.policy import require_change
from mlmodels.services import events, model_files
from mlmodels.services.locking import lock
from mlmodels.services.tending import tend
from mlmodels.services.version_checks import check, check_secrets

FIELDS = (
    "note",
    "runtime",
    "image",
    "folder",
    "command",
    "environment",
    "cores",
    "memory_mib",
    "gpus",
    "gpu_type",
    "read_only_root",
    "startup_s",
    "accepts",
    "input_schema",
    "output_schema",
    "example",
)


def add_version(
    model: RegisteredModel,
    *,
    actor: User,
    files: tuple[str, BinaryIO] | None = None,
    files_url: str = "",
    files_sha256: str = "",
    secrets: Mapping[str, str] | None = None,
    based_on: ModelVersion | None = None,
    keep_files: bool = False,
    **values: Any,
) -> ModelVersion:
    """Add the next version; `values` are of FIELDS. It starts nothing: that is `deploy` or `start`.

    `files`: (name, content) of a tar.gz for /opt/ml/model, or `files_url`, an s3:// address of one;
    `files_sha256`: what it must be, "" where nobody says. `based_on`: a version of this model whose
    secrets stand in for those given as "", and whose files are taken where `keep_files` says so.

    Whoever may approve versions has approved their own. Raises InvalidInput by field.
    """
    require_change(actor, model)
    if based_on is not None and based_on.model_id != model.pk:
        raise InvalidInput("must be a version of this model", field="based_on")
    unknown = values.keys() - set(FIELDS)
    if unknown:
        raise InvalidInput(errors=dict.fromkeys(sorted(unknown), "cannot be set"))
    version = ModelVersion(model=model, created_by=actor, **values)
    known = _secrets(secrets or {}, based_on)
    check_secrets(known, version.environment)
    if known:
        version.sealed_secrets = seal(json.dumps(known))
        version.secret_names = sorted(known)
    check(version)
    if files or files_url:
        key = f"models/{model.pk}/{uuid.uuid4().hex}/model.tar.gz"
        kept = model_files.keep(key, files, files_url, sha256=files_sha256)
        version.files_key = key
        version.files_name, version.files_size, version.files_sha256 = kept
    elif keep_files and based_on is not None:
        for name in ("files_key", "files_name", "files_size", "files_sha256"):
            setattr(version, name, getattr(based_on, name))
    try:
        return _add(model, version, actor)
    except BaseException:
        if files or files_url:
            storage().delete(version.files_key)
        raise


@transaction.atomic
def _add(model: RegisteredModel, version: ModelVersion, actor: User) -> ModelVersion:
    lock(model)
    last = model.versions.aggregate(last=Max("number"))["last"] or 0
    version.number = last + 1
    if can(actor, Can.APPROVE_MODEL):
        version.approved_by, version.approved_at = actor, now()
    version.save()
    if model.current_id is None:
        model.current = version
        model.save(update_fields=["current"])
    words = version.image or f"{version.folder}: {' '.join(version.command)}"
    events.note(model, "add_version", actor=actor, version=version, note=version.note or words)
    events.tell(model)
    events.audit(model, "add_version", actor=actor, version=version.number, runs=words)
    return version


@transaction.atomic
def approve(version: ModelVersion, *, actor: User, note: str = "") -> ModelVersion:
    """Let a version run on the lab's machines. Approving twice is no error."""
    require(actor, Can.APPROVE_MODEL)
    model = version.model
    lock(model)
    moment = now()
    fresh = ModelVersion.objects.filter(pk=version.pk, approved_at=None)
    if not fresh.update(approved_by=actor, approved_at=moment):
        version.refresh_from_db(fields=["approved_by", "approved_at"])
        return version
    version.approved_by, version.approved_at = actor, moment
    if model.current_id == version.pk:
        model.current = version
    events.note(model, "approve", actor=actor, version=version, note=note)
    tend(model)
    events.tell(model)
    events.audit(model, "approve", actor=actor, version=version.number)
    return version


def secrets_of(version: ModelVersion) -> dict[str, str]:
    """For its agent alone. Raises SealBroken."""
    return json.loads(unseal(version.sealed_secrets)) if version.sealed_secrets else {}


def _secrets(given: Mapping[str, str], based_on: ModelVersion | None) -> dict[str, str]:
    """A name without a value takes the one that the version before has."""
    before = secrets_of(based_on) if based_on is not None else {}
    return {name: value or before.get(name, "") for name, value in given.items()}
