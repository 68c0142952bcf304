"""Barrier, reduce and gather among the ranks of one generation, by gloo or NCCL.

Addresses are exchanged through the run's own authenticated connection: there is no second server
and no port that strangers could call.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any

from calculations.software.torch_inference.program.channel import Message
from calculations.software.torch_inference.program.work import NCCL

SIOCGIFADDR = 0x8915
ROOT = 0


class Postbox:
    """The rank's side of the store: questions to the coordinator, each with its answer."""

    def __init__(self, send: Callable[[Message, bytes], None]) -> None:
        self._send = send
        self._lock = threading.Lock()
        self._count = 0
        self._waiting: dict[int, tuple[threading.Event, list[Any]]] = {}

    def ask(self, message: Message, body: bytes = b"", timeout: float = 60.0) -> tuple[Any, bytes]:
        """Raises TimeoutError, RuntimeError where there will be no answer."""
        event: threading.Event = threading.Event()
        answer: list[Any] = []
        with self._lock:
            self._count += 1
            number = self._count
            self._waiting[number] = event, answer
        try:
            self._send({"t": "store", "id": number, **message}, body)
            if not event.wait(timeout):
                raise TimeoutError(f"no answer to {message.get('op')} within {timeout:g} s")
        finally:
            with self._lock:
                self._waiting.pop(number, None)
        problem, value, content = answer
        if problem:
            raise RuntimeError(problem)
        return value, content

    def answered(self, message: Message, body: bytes) -> None:
        with self._lock:
            event, answer = self._waiting.get(int(message["id"]), (None, []))
        if event is not None:
            answer[:] = message.get("error"), message.get("value"), body
            event.set()


@lru_cache(maxsize=1)
def _store_class() -> type:
    import torch.distributed as dist

    class ChannelStore(dist.Store):
        """torch's store over the run's connection; `prefix` keeps generations apart."""

        def __init__(self, postbox: Postbox, prefix: str, timeout: timedelta) -> None:
            super().__init__()
            self.postbox, self.prefix, self.patience = postbox, prefix, timeout

        def _ask(self, op: str, key: Any, body: Any = b"", **more: Any) -> tuple[Any, bytes]:
            content = body if isinstance(body, bytes) else str(body).encode()
            seconds = self.patience.total_seconds()
            keys = [key] if isinstance(key, str) else list(key)
            message = {"op": op, "keys": [f"{self.prefix}/{name}" for name in keys], **more}
            return self.postbox.ask(message, content, seconds)

        def set(self, key: str, value: Any) -> None:
            self._ask("set", key, value)

        def get(self, key: str) -> bytes:
            return self._ask("get", key)[1]

        def add(self, key: str, amount: int) -> int:
            return int(self._ask("add", key, amount=amount)[0])

        def append(self, key: str, value: Any) -> None:
            self._ask("append", key, value)

        def delete_key(self, key: str) -> bool:
            return bool(self._ask("delete", key)[0])

        def check(self, keys: Sequence[str]) -> bool:
            return bool(self._ask("check", keys)[0])

        def wait(self, keys: Sequence[str], timeout: timedelta | None = None) -> None:
            self._ask("wait", keys)

        def compare_set(self, key: str, expected: Any, desired: Any) -> bytes:
            known = expected if isinstance(expected, bytes) else str(expected).encode()
            return self._ask("compare_set", key, desired, expected=known.decode("latin-1"))[1]

        def num_keys(self) -> int:
            return int(self._ask("count", "")[0])

        def set_timeout(self, timeout: timedelta) -> None:
            self.patience = timeout

        @property
        def timeout(self) -> timedelta:
            return self.patience

        def clone(self) -> Any:
            return type(self)(self.postbox, self.prefix, self.patience)

    return ChannelStore


class Group:
    """The ranks of one generation; `position` counts from 0 within it. Everything raises what torch
    raises where another rank is gone, or does not answer in time.
    """

    def __init__(
        self,
        backend: str,
        postbox: Postbox,
        *,
        generation: int,
        position: int,
        size: int,
        timeout_s: float,
        device: Any,
    ) -> None:
        import torch.distributed as dist

        timeout = timedelta(seconds=timeout_s)
        self.size, self.position = size, position
        self._device = device if backend == NCCL else None
        # Kept: torch holds only the C++ half of a store that is written in Python.
        self._store = _store_class()(postbox, f"generation-{generation}", timeout)
        more = {"device_id": device} if backend == NCCL else {}
        dist.init_process_group(
            backend, store=self._store, rank=position, world_size=size, timeout=timeout, **more
        )

    def barrier(self) -> None:
        self.reduce([1.0], everyone=True)

    def reduce(self, values: Sequence[float], *, everyone: bool = False) -> list[float]:
        """Add up in double precision; the sum is at ROOT, or with everyone."""
        import torch.distributed as dist

        tensor = self._tensor(values)
        if everyone:
            dist.all_reduce(tensor)
        else:
            dist.reduce(tensor, dst=ROOT)
        return tensor.tolist()

    def gather(self, values: Sequence[float]) -> list[list[float]]:
        """Return everybody's values at ROOT, nothing elsewhere."""
        import torch
        import torch.distributed as dist

        tensor = self._tensor(values)
        at_root = self.position == ROOT
        rows = [torch.empty_like(tensor) for _ in range(self.size)] if at_root else None
        dist.gather(tensor, rows, dst=ROOT)
        return [row.tolist() for row in rows] if rows else []

    def _tensor(self, values: Sequence[float]) -> Any:
        import torch

        return torch.tensor(values, dtype=torch.float64, device=self._device)

    def close(self) -> None:
        import torch.distributed as dist

        with contextlib.suppress(Exception):
            dist.destroy_process_group()


def bind(address: str) -> None:
    """Have gloo and NCCL use the network interface of a private address, and nothing else."""
    interface = interface_of(address)
    if interface:
        os.environ["GLOO_SOCKET_IFNAME"] = interface
        os.environ["NCCL_SOCKET_IFNAME"] = f"={interface}"
    os.environ.setdefault("TORCH_GLOO_LAZY_INIT", "1")


def interface_of(address: str) -> str:
    """Return the name of the interface with that IPv4 address, "" where none has it."""
    return next((name for name, own in _interfaces() if own == address), "")


def addresses() -> list[str]:
    """The IPv4 addresses of this machine, in the order of its interfaces."""
    return [address for _, address in _interfaces()]


def _interfaces() -> list[tuple[str, str]]:
    import fcntl

    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode()[:15])
            try:
                answer = fcntl.ioctl(probe.fileno(), SIOCGIFADDR, request)
            except OSError:
                continue
            found.append((name, socket.inet_ntoa(answer[20:24])))
    return found
