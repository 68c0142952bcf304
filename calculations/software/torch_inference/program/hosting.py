"""Starts one host a node: forked from the coordinator on its own node, through the scheduler or the
site's launcher on several.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from calculations.software.torch_inference.program.collectives import addresses
from calculations.software.torch_inference.program.hub import Hub, is_private
from calculations.software.torch_inference.program.problem import Problem
from calculations.software.torch_inference.program.work import Work

RENDEZVOUS = ".rendezvous.json"
HOST_MODULE = "calculations.software.torch_inference.program.main"
LOCALHOST = "127.0.0.1"
ROOT = str(Path(__file__).resolve().parents[4])
SRUN = (
    "srun --quiet --nodes={nodes} --ntasks={tasks} --cpu-bind=none --kill-on-bad-exit=0 "
    "--cpus-per-task={cores}"
)


def hosts_of(work: Work) -> int:
    """How many hosts are started: one a node, or one a rank where each is a process of its own."""
    if work.launch == "fork":
        return max(1, work.nodes)
    return max(1, work.ranks)


def address_of(work: Work) -> str:
    """Return the address at which the coordinator listens. Raises Problem where there is none."""
    if work.nodes <= 1:
        return LOCALHOST
    asked = work.site.address
    mine = addresses()
    if asked and "/" not in asked:
        return asked
    for address in mine:
        if asked and ipaddress.ip_address(address) in ipaddress.ip_network(asked, strict=False):
            return address
        if not asked and is_private(address) and not address.startswith("127."):
            return address
    raise Problem(
        "no_private_address",
        f"{socket.gethostname()} has no private address"
        f"{f' in {asked}' if asked else ''} at which the other nodes could call.",
        "Set `address` in the cluster's settings of torch_inference to a private address or "
        "network of its nodes.",
        ", ".join(mine),
    )


class Started:
    """The processes that were started; `pid` is a host that was forked."""

    def __init__(self, pid: int = 0, commands: tuple[subprocess.Popen[bytes], ...] = ()) -> None:
        self._pid, self._commands = pid, commands

    def ended(self) -> int | None:
        """Return the exit code of one that has ended, None while all go on."""
        if self._pid:
            found, status = os.waitpid(self._pid, os.WNOHANG)
            if found:
                self._pid = 0
                return os.waitstatus_to_exitcode(status)
        codes = [command.poll() for command in self._commands]
        return next((code for code in codes if code is not None), None)

    def stop(self, hub: Hub, seconds: float) -> None:
        """Let them end, and end them after a while."""
        limit = time.monotonic() + seconds
        while self._running() and time.monotonic() < limit:
            hub.turn(0.02)
        if self._pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        for command in self._commands:
            if command.poll() is None:
                command.kill()
            command.wait()

    def _running(self) -> bool:
        if self._pid:
            return self.ended() is None
        return any(command.poll() is None for command in self._commands)


def start(work: Work, hub: Hub, token: bytes, folder: Path) -> Started:
    """Start the hosts. Raises Problem."""
    if work.nodes <= 1 and work.launch == "fork":
        return Started(_fork(hub, token))
    _write_rendezvous(folder / RENDEZVOUS, hub.address, token)
    program = [sys.executable, "-m", HOST_MODULE, "host", str(folder)]
    environment = {**os.environ, "PYTHONPATH": ROOT}
    commands = []
    for words in _launchers(work, program):
        try:
            commands.append(subprocess.Popen(words, env=environment))  # noqa: S603
        except OSError as error:
            raise Problem(
                "launcher_failed",
                f"{words[0]} cannot be started: {error.strerror}.",
                "Check `launcher` in the cluster's settings of torch_inference.",
            ) from None
    return Started(commands=tuple(commands))


def read_rendezvous(folder: Path) -> tuple[tuple[str, int], bytes]:
    """Return address and token. Raises OSError and ValueError."""
    document = json.loads((folder / RENDEZVOUS).read_text(encoding="utf-8"))
    return (document["host"], int(document["port"])), bytes.fromhex(document["token"])


def forget_rendezvous(folder: Path) -> None:
    with contextlib.suppress(OSError):
        (folder / RENDEZVOUS).unlink()


def local_number(environment: Mapping[str, str]) -> int:
    """Which process of its node a launcher says this is."""
    for name in ("LOCAL_RANK", "SLURM_LOCALID", "OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID"):
        if environment.get(name, "").isdigit():
            return int(environment[name])
    return 0


def _fork(hub: Hub, token: bytes) -> int:
    from calculations.software.torch_inference.program import host

    address = hub.address
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        host.die_with_parent()
        hub.close()
        code = host.main(address, token, 0)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _write_rendezvous(path: Path, address: tuple[str, int], token: bytes) -> None:
    """A file that only this user reads: a token in an environment or an argument would be seen."""
    forget_rendezvous(path.parent)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        json.dump({"host": address[0], "port": address[1], "token": token.hex()}, stream)


def _launchers(work: Work, program: list[str]) -> list[list[str]]:
    """Return the command lines that start all hosts."""
    if work.launch == "torchrun":
        head = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--no-python"]
        return [[*head, "--nproc-per-node", str(work.ranks), *program]]
    hosts, template = list(work.site.hosts), work.site.launcher
    if not template and "SLURM_JOB_ID" in os.environ:
        template = SRUN
    elif not template and os.environ.get("PBS_NODEFILE"):
        hosts = list(dict.fromkeys(Path(os.environ["PBS_NODEFILE"]).read_text().split()))
        remote = "pbs_tmrsh" if shutil.which("pbs_tmrsh") else "ssh -o BatchMode=yes"
        template = remote + " {host}"
    if not template:
        raise Problem(
            "no_launcher",
            f"The run asks for {work.nodes} nodes, and nothing says how a process starts on them.",
            "Ask for one node, or have `launcher` set in the cluster's settings of "
            'torch_inference, such as "ssh {host}" together with `hosts`.',
        )
    count = hosts_of(work)
    if "{host}" in template:
        return _by_host(template, hosts, count, program)
    cores = max(1, work.cores // count)
    words = shlex.split(template)
    known = {"{nodes}": str(max(1, work.nodes)), "{tasks}": str(count), "{cores}": str(cores)}
    for name, value in known.items():
        words = [word.replace(name, value) for word in words]
    return [[*words, *program]]


def _by_host(template: str, hosts: list[str], count: int, program: list[str]) -> list[list[str]]:
    if len(hosts) < count:
        raise Problem(
            "too_few_hosts",
            f"{count} nodes are asked for, and {len(hosts)} are named.",
            "Ask for fewer nodes, or have more `hosts` named in the cluster's settings.",
        )
    path = f"PYTHONPATH={shlex.quote(ROOT)}"
    command = f"env {path} {shlex.join(program)}"
    return [
        [*(word.replace("{host}", host) for word in shlex.split(template)), command]
        for host in hosts[:count]
    ]
