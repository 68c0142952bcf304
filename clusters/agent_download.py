"""The agent file and the node's wheel that the portal serves: built once per process from this very
code.
"""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

from django.conf import settings
from django.http import FileResponse, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from clusters import node_wheel
from clusters.agent_file import build
from labportal.common.errors import NotFound

_lock = threading.Lock()
_built: dict[str, str] = {}


def agent_file() -> tuple[Path, str]:
    """Return the file's path and SHA-256, built at the first call."""
    target = settings.HOME / "labportal-agent.pyz"
    with _lock:
        if "sha256" not in _built or not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            _built["sha256"] = build(target)
    return target, _built["sha256"]


@require_safe
def download(request: HttpRequest) -> FileResponse:
    path, sha256 = agent_file()
    response = FileResponse(
        path.open("rb"), as_attachment=True, filename=path.name, content_type="application/zip"
    )
    response["X-Content-SHA256"] = sha256
    return response


@require_safe
def checksum(request: HttpRequest) -> HttpResponse:
    path, _ = agent_file()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return HttpResponse(f"{digest}  {path.name}\n", content_type="text/plain")


@require_safe
def wheel(request: HttpRequest, name: str) -> FileResponse:
    """Serve the node under its whole name alone, which tells pip the version."""
    if name != node_wheel.file_name():
        raise NotFound(
            "The portal has another version of the node now; its cluster's page shows it."
        )
    path = settings.HOME / name
    with _lock:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            node_wheel.build(path.parent)
    return FileResponse(
        path.open("rb"), as_attachment=True, filename=name, content_type="application/zip"
    )
