"""The plug-in's program as the one file that functions fetch: the same bytes for the same text."""

from __future__ import annotations

import hashlib
import io
import pkgutil
import zipfile
from functools import lru_cache
from importlib import import_module

PACKAGE = "calculations.software.torch_inference"
EMPTY = ("calculations", "calculations.software", PACKAGE)
PARTS = ("program", "networks")
MOMENT = (1980, 1, 1, 0, 0, 0)


@lru_cache(maxsize=1)
def archive() -> tuple[bytes, str]:
    """Return the zip file and its SHA-256 (hex)."""
    files = {f"{name.replace('.', '/')}/__init__.py": b"" for name in EMPTY}
    for part in PARTS:
        package = import_module(f"{PACKAGE}.{part}")
        for module in ("__init__", *(info.name for info in pkgutil.iter_modules(package.__path__))):
            source = pkgutil.get_data(package.__name__, f"{module}.py")
            if source is None:
                raise FileNotFoundError(f"{module}.py is missing beside the plug-in")
            files[f"{package.__name__.replace('.', '/')}/{module}.py"] = source
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
        for name in sorted(files):
            target.writestr(zipfile.ZipInfo(name, MOMENT), files[name], zipfile.ZIP_DEFLATED)
    content = packed.getvalue()
    return content, hashlib.sha256(content).hexdigest()
