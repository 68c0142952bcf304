"""What an agent is told of a replica: its ServingSpec as JSON. No secret stands in it."""

from __future__ import annotations

from typing import Any

from mlmodels.models import Replica

FILES_NAME = "model.tar.gz"


def spec_of(replica: Replica) -> dict[str, Any]:
    version, model = replica.version, replica.version.model
    example = version.example and {"content_type": version.accepts[0], "body": version.example}
    return {
        "replica": str(replica.pk),
        "name": f"{model.name.partition('~')[0]}-v{version.number}-{replica.name}",
        "model": model.name,
        "version": version.number,
        "runtime": version.runtime,
        "image": version.image,
        "folder": version.folder,
        "command": version.command,
        "files": _files(replica),
        "environment": version.environment,
        "secrets": bool(version.secret_names),
        "cores": version.cores,
        "memory_mib": version.memory_mib,
        "gpus": version.gpus,
        "gpu_type": version.gpu_type,
        "read_only_root": version.read_only_root,
        "startup_s": version.startup_s,
        "check": example or None,
        "accepts": version.accepts,
        "max_body": model.max_body_mib * 2**20,
        "purpose": replica.purpose,
    }


def _files(replica: Replica) -> dict[str, Any] | None:
    version = replica.version
    if not version.files_key:
        return None
    return {"name": FILES_NAME, "size": version.files_size, "sha256": version.files_sha256}
