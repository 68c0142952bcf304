"""What AWS Lambda calls: fetches the program that a run names, by checksum, and hands over to it.

Deployed with the function, beside torch; everything else comes out of the bucket with the run, so
that a function need not be deployed anew for another version of the portal.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import sys
import tempfile
import time
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import Any

PROGRAM = "calculations.software.torch_inference.program.function"
LARGEST = 64 * 2**20

_loaded: dict[str, Any] = {}
_cold = True


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Run one rank: `event` is an element of the distributed map. Raises what the rank raises."""
    global _cold
    began, cold = time.monotonic(), _cold
    _cold = False
    client = _client()
    digest = str(event["program_sha256"])
    if digest not in _loaded:
        _loaded.clear()
        _loaded[digest] = _load(client, str(event["bucket"]), str(event["program"]), digest)
    return _loaded[digest].run(event, context, client, began=began, cold=cold)


@lru_cache(maxsize=1)
def _client() -> Any:
    """Made once for a machine: that takes longer than many a call."""
    import boto3

    return boto3.client("s3", endpoint_url=os.environ.get("LABPORTAL_S3_ENDPOINT") or None)


def _load(client: Any, bucket: str, key: str, digest: str) -> Any:
    """Return the program's module. Raises ValueError where the file is another than was planned."""
    content = client.get_object(Bucket=bucket, Key=key)["Body"].read(LARGEST + 1)
    if hashlib.sha256(content).hexdigest() != digest:
        raise ValueError(f"{key} is not the program that was planned")
    folder = Path(tempfile.gettempdir()) / "labportal"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{digest}.zip"
    path.write_bytes(content)
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{key} is no program")
    sys.path[:] = [str(path), *(p for p in sys.path if not p.startswith(str(folder)))]
    for name in [name for name in sys.modules if name.partition(".")[0] == "calculations"]:
        del sys.modules[name]
    importlib.invalidate_caches()
    return importlib.import_module(PROGRAM)
