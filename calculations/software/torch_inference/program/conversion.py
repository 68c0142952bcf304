"""Keeps .pt files as safetensors files, converted once; this process never unpickles anything."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from calculations.software.torch_inference.program import convert
from calculations.software.torch_inference.program.formats import BadFile, check_safetensors
from calculations.software.torch_inference.program.problem import Problem

VERSION = "1"
KEPT_S = 30 * 86400  # unused for so long, a converted file is deleted
REMEDY = (
    "Save the tensors alone, by safetensors.torch.save_file or numpy.savez, and name that file."
)


def converted(paths: Sequence[Path], cache_dir: str, names: Sequence[str]) -> dict[Path, Path]:
    """Return the safetensors file of each .pt file; `names` are those of tensors without a name.
    Raises Problem.
    """
    cache = _cache(cache_dir)
    targets = {path: cache / f"{_key(path, names)}.safetensors" for path in paths}
    missing = [path for path, target in targets.items() if not target.is_file()]
    if missing:
        _drop_old(cache)
        _convert({path: targets[path] for path in missing}, names)
    for target in targets.values():
        with contextlib.suppress(OSError):
            os.utime(target)
    return targets


def _cache(cache_dir: str) -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    cache = Path(cache_dir).expanduser() if cache_dir else Path(base) / "labportal" / "partitions"
    try:
        cache.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise Problem(
            "no_cache",
            f"Converted partitions cannot be kept in {cache}: {error.strerror}.",
            "Set `cache_dir` in the cluster's settings of torch_inference to a folder with room.",
        ) from None
    return cache


def _key(path: Path, names: Sequence[str]) -> str:
    about = path.stat()
    parts = (VERSION, str(path.resolve()), about.st_size, about.st_mtime_ns, about.st_ino, *names)
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()


def _convert(targets: dict[Path, Path], names: Sequence[str]) -> None:
    new = {path: target.with_suffix(f".{os.getpid()}.new") for path, target in targets.items()}
    for unfinished in new.values():
        with contextlib.suppress(FileNotFoundError):
            unfinished.unlink()
    asked = {"files": [[str(path), str(target)] for path, target in new.items()], "names": [*names]}
    environment = {
        name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ
    }
    environment["PYTHONPATH"] = str(Path(__file__).resolve().parents[4])
    try:
        process = subprocess.run(  # noqa: S603  (this interpreter)
            [sys.executable, "-m", convert.__name__],
            input=json.dumps(asked),
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        answers = [json.loads(line) for line in process.stdout.splitlines()]
        for path, answer in zip(targets, answers):
            _check(path, answer, new[path])
            new[path].replace(targets[path])
        if len(answers) < len(targets):
            raise _refused(next(iter(targets)), "cannot be converted", process.stderr[-500:])
    finally:
        for unfinished in new.values():
            with contextlib.suppress(OSError):
                unfinished.unlink()


def _check(path: Path, answer: dict[str, str], target: Path) -> None:
    if "sandbox" in answer:
        raise Problem(
            "no_sandbox",
            f"{path.name} has to be converted, and this machine cannot shut a process in: "
            f"{answer['sandbox']}.",
            REMEDY,
        )
    if "error" in answer:
        raise _refused(path, answer["error"])
    try:
        check_safetensors(target)
    except (BadFile, OSError) as error:
        raise _refused(path, f"became a file that {error}") from None


def _refused(path: Path, why: str, *evidence: str) -> Problem:
    return Problem("pt_refused", f"{path.name} {why}.", REMEDY, *evidence)


def _drop_old(cache: Path) -> None:
    before = time.time() - KEPT_S
    for path in cache.glob("*.safetensors"):
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < before:
                path.unlink()
