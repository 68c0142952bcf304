"""Builds the agent as one file, labportal-agent.pyz, which the portal serves.

The same sources give the same bytes, so that a checksum says whether two portals serve the same
agent.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from calculations.software.registry import announced

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("calculations/software", "clusters/agent")
EMPTY_PACKAGES = ("calculations/__init__.py", "clusters/__init__.py")
SUFFIXES = frozenset({".py", ".json", ".txt", ".sh", ".fdf", ".in"})
SHEBANG = b"#!/usr/bin/env python3\n"
MAIN = "import sys\n\nfrom clusters.agent.cli import main\n\nsys.exit(main())\n"
EPOCH = (1980, 1, 1, 0, 0, 0)


def build(target: Path) -> str:
    """Write the agent file to `target` (replaced as a whole) and return its SHA-256 (hex)."""
    contents = {"__main__.py": MAIN.encode(), **carried()}
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    with temporary.open("wb") as stream:
        stream.write(SHEBANG)
        with zipfile.ZipFile(stream, "w") as archive:
            for name in sorted(contents):
                entry = zipfile.ZipInfo(name, EPOCH)
                entry.external_attr = 0o644 << 16
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, contents[name], compresslevel=9)
    temporary.chmod(0o755)
    temporary.replace(target)
    return hashlib.sha256(target.read_bytes()).hexdigest()


def carried(*more: str) -> dict[str, bytes]:
    """Return what every agent carries by its path: its packages, `more` of ours, plug-ins."""
    return dict(_contents((*PACKAGES, *more)))


def _contents(packages: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    for name in EMPTY_PACKAGES:
        yield name, b""
    for package in packages:
        yield from _tree(ROOT / package, package)
    plugins = announced()
    yield "_labportal_plugins.py", f"PLUGINS = {dict(sorted(plugins.items()))!r}\n".encode()
    for module in sorted({target.partition(":")[0] for target in plugins.values()}):
        yield from _module(module)


def _tree(folder: Path, prefix: str) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.suffix in SUFFIXES and "__pycache__" not in path.parts:
            yield f"{prefix}/{path.relative_to(folder).as_posix()}", path.read_bytes()


def _module(name: str) -> Iterator[tuple[str, bytes]]:
    """Yield a third-party plug-in's module, with its packages; nothing where it cannot be found."""
    parts = name.split(".")
    for depth in range(1, len(parts)):
        yield "/".join(parts[:depth]) + "/__init__.py", b""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return
    if spec is None or spec.origin is None:
        return
    origin, path = Path(spec.origin), name.replace(".", "/")
    if origin.name == "__init__.py":
        yield from _tree(origin.parent, path)
    else:
        yield f"{path}.py", origin.read_bytes()
