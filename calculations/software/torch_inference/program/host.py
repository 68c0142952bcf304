"""One process a node that imports torch once, reads the weights once, and forks the node's ranks.

It computes nothing itself and starts no threads, so that what it forks is sound. It ends, and its
ranks with it, when the coordinator is gone.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

from calculations.software.torch_inference.program import measuring, rank
from calculations.software.torch_inference.program.channel import (
    Connection,
    Lost,
    Message,
    Refused,
)
from calculations.software.torch_inference.program.inference import load_network
from calculations.software.torch_inference.program.problem import Problem
from calculations.software.torch_inference.program.work import Site, Work

PR_SET_PDEATHSIG = 1


class Host:
    """`local` is which process of its node it is, where a launcher started several."""

    def __init__(
        self, connection: Connection, address: tuple[str, int], token: bytes, local: int
    ) -> None:
        self.connection, self.local = connection, local
        self.address, self.token = address, token
        self.children: dict[int, int] = {}  # pid -> rank
        self._network: Any = None

    def run(self) -> None:
        """Raises Lost, Refused, Problem."""
        began = time.perf_counter()
        self._send({"t": "hello", "role": "host", **about_machine()})
        version = import_torch()
        seconds = round(time.perf_counter() - began, 4)
        self._send({"t": "ready", "torch": version, "import_s": seconds, **_gpus()})
        reader, writer = socket.socketpair()
        reader.setblocking(False)
        writer.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        self._serve(reader)

    def _serve(self, woken: socket.socket) -> None:
        import select

        handlers = {"spawn": self._spawn, "kill": self._kill}
        poll = select.poll()
        poll.register(self.connection.fileno(), select.POLLIN)
        poll.register(woken.fileno(), select.POLLIN)
        while True:
            for descriptor, _ in poll.poll():
                if descriptor == woken.fileno():
                    with contextlib.suppress(BlockingIOError):
                        woken.recv(4096)
                    self._reap()
                    continue
                for message, _ in self.connection.receive():
                    if message["t"] == "leave":
                        return
                    handlers[message["t"]](message)

    def _spawn(self, message: Message) -> None:
        """Fork ranks: {"node", "places": [[rank, local], ...], "work", "weights", "preload"}."""
        work = work_of(message["work"])
        began = time.perf_counter()
        if message["preload"] and self._network is None:
            import torch

            torch.set_num_threads(1)  # threads would not survive the fork
            self._network = load_network(work.model, work, message["weights"] or None)
        gc.collect()
        gc.freeze()  # so that counting references in ranks copies no pages
        loaded = time.perf_counter()
        for number, local in message["places"]:
            place = rank.Place(number, message["node"], self.local + local)
            self._fork(place, work, message)
        self._send(
            {
                "t": "spawned",
                "pids": [[number, pid] for pid, number in self.children.items()],
                "model_s": round(loaded - began, 4),
                "fork_s": round(time.perf_counter() - loaded, 4),
            }
        )

    def _fork(self, place: rank.Place, work: Work, message: Message) -> None:
        pid = os.fork()
        if pid:
            self.children[pid] = place.rank
            return
        code = rank.FAILED
        try:
            die_with_parent()
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self.connection.close()
            if message.get("probe"):
                code = rank.probe(work, self.address, self.token, self._network, message)
            else:
                code = rank.main(
                    place, work, self.address, self.token, self._network, message["weights"]
                )
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _kill(self, message: Message) -> None:
        for pid, number in list(self.children.items()):
            if number == message["rank"]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def _reap(self) -> None:
        while self.children:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            number = self.children.pop(pid, None)
            code = os.waitstatus_to_exitcode(status)
            self._send({"t": "exited", "rank": number, "code": code, "pid": pid})

    def end_all(self) -> None:
        for pid in self.children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _send(self, message: Message) -> None:
        self.connection.send(message)


def main(address: tuple[str, int], token: bytes, local: int) -> int:
    """Be a host; return the exit code."""
    try:
        connection = Connection(address, token)
    except (OSError, Refused) as error:
        print(f"{socket.gethostname()} cannot join: {error}", file=sys.stderr, flush=True)
        return rank.FAILED
    host = Host(connection, address, token, local)
    try:
        host.run()
        return 0
    except (Lost, Refused):
        return rank.ORPHANED
    except Problem as problem:
        rank.tell(connection, problem)
        return rank.FAILED
    finally:
        host.end_all()


def import_torch() -> str:
    """Return torch's version. Raises Problem where it cannot be imported."""
    try:
        import numpy  # noqa: F401  (before torch, which looks for it)
        import torch
        import torch.distributed
    except Exception as error:
        raise Problem(
            "no_torch",
            f"torch or numpy cannot be imported on {socket.gethostname()}: {error}.",
            "Set `python` in the cluster's settings of torch_inference to an interpreter that has "
            "torch, numpy and safetensors.",
            f"interpreter {sys.executable}",
        ) from None
    return str(torch.__version__)


def work_of(document: Message) -> Work:
    site = dict(document.get("site") or {})
    site["hosts"] = tuple(site.get("hosts", ()))
    return Work(**{**document, "files": tuple(document["files"]), "site": Site(**site)})


def about_machine() -> dict[str, Any]:
    return {"pid": os.getpid(), "host": name_of_node(), "machine": measuring.system()}


def name_of_node() -> str:
    """As the scheduler calls it, where there is one."""
    return os.environ.get("SLURMD_NODENAME") or socket.gethostname()


def _gpus() -> dict[str, Any]:
    """Count GPUs without waking CUDA, which would not survive the fork."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    found = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    models = []
    for path in found:
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("Model:"):
                models.append(line.partition(":")[2].strip())
    count = len([part for part in named.split(",") if part.strip()]) if named else len(models)
    return {"gpus": count, "gpu_models": models[:16]}


def die_with_parent() -> None:
    """Have the kernel end this process when the one that forked it ends."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
