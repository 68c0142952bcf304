"""Turns .pt files into safetensors files, each in a sandboxed process of its own.

Started by conversion.py with pairs of paths on standard input. torch's restricted unpickler reads
tensors and TensorDataset alone; whatever else a file asks for is refused.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

from calculations.software.torch_inference.program import sandbox

MEMORY_FACTOR, MEMORY_BASE = 6, 16 * 2**30
SECONDS = 900
DTYPES = {
    "torch.float64": "F64",
    "torch.float32": "F32",
    "torch.float16": "F16",
    "torch.bfloat16": "BF16",
    "torch.int64": "I64",
    "torch.int32": "I32",
    "torch.int16": "I16",
    "torch.int8": "I8",
    "torch.uint8": "U8",
    "torch.bool": "BOOL",
}


class NotPlain(ValueError):
    """A file that holds more than tensors."""


def main() -> int:
    """Read [[path, target], ...] and the names of tensors; answer one line of JSON for each."""
    asked = json.load(sys.stdin)
    _warm_up()
    for path, target in asked["files"]:
        print(json.dumps(_shut_in(path, target, asked["names"])), flush=True)
    return 0


def _warm_up() -> None:
    """Have everything imported that reading will need: later no file can be opened."""
    import io

    import torch
    from torch.utils.data import TensorDataset

    torch.set_num_threads(1)
    torch.serialization.add_safe_globals([TensorDataset])
    buffer = io.BytesIO()
    torch.save(TensorDataset(torch.zeros(1, dtype=torch.float64)), buffer)
    buffer.seek(0)
    torch.load(buffer, map_location="cpu", weights_only=True)


def _shut_in(path: str, target: str, names: list[str]) -> dict[str, str]:
    """Convert in a forked process that can do nothing else."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        answer = _answer(path, target, names)
        os.write(writer, json.dumps(answer).encode()[:60_000])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        said = stream.read()
    _, status = os.waitpid(pid, 0)
    try:
        return dict(json.loads(said))
    except ValueError:
        code = os.waitstatus_to_exitcode(status)
        return {"error": f"reading it ended with {code}: too large for its limits, or not sound"}


def _answer(path: str, target: str, names: list[str]) -> dict[str, str]:
    try:
        source = Path(path).open("rb")  # noqa: SIM115  (stays open, nothing else can be opened)
        size = os.fstat(source.fileno()).st_size
        out = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        sandbox.limit(
            memory=MEMORY_BASE + MEMORY_FACTOR * size,
            written=MEMORY_FACTOR * size + sandbox.MIB,
            seconds=SECONDS,
        )
        sandbox.enter()
        _write(out, _tensors(source, names))
        return {"done": path}
    except sandbox.NoSandbox as error:
        return {"sandbox": str(error)}
    except NotPlain as error:
        return {"error": str(error)}
    except Exception as error:
        last = str(error).strip().splitlines()
        frames = traceback.extract_tb(error.__traceback__)
        where = frames[-1].name if frames else ""
        return {"error": f"{type(error).__name__} in {where}: {last[0] if last else ''}"[:400]}


def _tensors(source: Any, names: list[str]) -> dict[str, Any]:
    import pickle

    import torch

    try:
        found = torch.load(source, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        words = next((line for line in str(error).splitlines() if "GLOBAL" in line), "")
        asks = words.strip().rstrip(".")
        raise NotPlain(f"holds more than tensors, and is not unpickled: {asks}"[:400]) from None
    if isinstance(found, torch.utils.data.TensorDataset):
        found = found.tensors
    if isinstance(found, (list, tuple)):
        if len(found) > len(names):
            raise NotPlain(f"holds {len(found)} tensors; {', '.join(names)} are known")
        found = dict(zip(names, found))
    if not isinstance(found, dict) or not found:
        raise NotPlain(f"holds a {type(found).__name__}, not tensors")
    found = found.get("state_dict", found)
    tensors = {}
    for name, tensor in found.items():
        if not isinstance(name, str) or not isinstance(tensor, torch.Tensor):
            raise NotPlain(f"holds {str(name)[:60]!r}, which is no tensor")
        if str(tensor.dtype) not in DTYPES:
            raise NotPlain(f"{name} is of type {tensor.dtype}")
        tensors[name[7:] if name.startswith("module.") else name] = tensor.contiguous()
    return tensors


def _write(out: int, tensors: dict[str, Any]) -> None:
    header, offset = {}, 0
    for name, tensor in tensors.items():
        size = tensor.numel() * tensor.element_size()
        header[name] = {
            "dtype": DTYPES[str(tensor.dtype)],
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + size],
        }
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with os.fdopen(out, "wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        for tensor in tensors.values():
            stream.write(_bytes(tensor))


def _bytes(tensor: Any) -> Any:
    import torch

    return memoryview(tensor.reshape(-1).view(torch.uint8).numpy()) if tensor.numel() else b""


if __name__ == "__main__":
    sys.exit(main())
