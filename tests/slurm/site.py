"""A throw-away Slurm on loopback: munge, controller, some nodes, and the accounting database.

All state stands in one folder, on free ports, and ends with `stop`. `python -m tests.slurm.site
FOLDER [--nodes N] [--no-books]` starts one and prints its SLURM_CONF until it is interrupted.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

SLURM = (
    "setpriv",
    "munged",
    "slurmctld",
    "slurmd",
    "sbatch",
    "squeue",
    "scancel",
    "sinfo",
    "scontrol",
)
BOOKS = ("mariadbd", "mariadb-install-db", "slurmdbd", "sacct", "sacctmgr")
PASSWORD = "throw-away"
CORES, MEMORY_MIB, GPUS = 4, 4000, 2  # of each node; the GPUs are empty files

CONTROLLER = """\
ClusterName=labtest
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CredType=cred/munge
CommunicationParameters=NoAddrCache
SlurmctldPort={controller_port}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd.%n.log
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldTimeout=30
SlurmdTimeout=10
MessageTimeout=5
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=2,sched_interval=2,batch_sched_delay=0
SlurmdParameters=config_overrides
ReturnToService=2
MpiDefault=none
InactiveLimit=0
KillWait=2
OverTimeLimit=0
MinJobAge=300
MaxArraySize=2001
PropagateResourceLimits=NONE
PreemptType=preempt/partition_prio
PreemptMode=CANCEL
DefMemPerCPU=100
GresTypes=gpu
{accounting}
NodeName=node[1-{nodes}] NodeHostname={host} NodeAddr=127.0.0.1 Port={node_ports} CPUs={cores} \
RealMemory={memory} Gres=gpu:h200:{gpus} State=UNKNOWN
NodeName=spare NodeHostname={host} NodeAddr=127.0.0.1 Port={spare_port} CPUs={cores} \
RealMemory={memory} State=UNKNOWN
PartitionName=debug Nodes={all} Default=YES MaxTime=01:00:00 State=UP PriorityTier=1
PartitionName=urgent Nodes={all} MaxTime=01:00:00 State=UP PriorityTier=10
PartitionName=closed Nodes={all} MaxTime=01:00:00 State=UP AllowAccounts=nobody
PartitionName=spare Nodes=spare MaxTime=01:00:00 State=UP PriorityTier=1
"""
ACCOUNTING = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={books_port}
AccountingStoragePass={folder}/munge/socket
AccountingStorageEnforce=associations,limits,qos"""
DATABASE = """\
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={books_port}
SlurmUser=root
PidFile={folder}/slurmdbd.pid
LogFile={folder}/log/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={database_port}
StorageUser=slurm
StoragePass={password}
StorageLoc=slurm_acct_db
"""


def missing(*, books: bool = True) -> list[str]:
    """Return the programs that this machine lacks for it; it needs root, too."""
    wanted = (*SLURM, *(BOOKS if books else ()))
    lacks = [name for name in wanted if not shutil.which(name)]
    return lacks if os.geteuid() == 0 else ["root", *lacks]


class SlurmSite:
    """One Slurm. `books`: with slurmdbd and MariaDB, for sacct."""

    def __init__(self, folder: Path, *, nodes: int = 2, books: bool = True) -> None:
        self.folder = folder.resolve()
        self.nodes = nodes
        self.books = books
        self.conf = self.folder / "slurm.conf"
        self.parts: dict[str, subprocess.Popen[bytes]] = {}
        first, *self._ports = _free_ports(nodes + 4)
        self._words = {
            "folder": str(self.folder),
            "host": socket.gethostname().partition(".")[0],
            "controller_port": first,
            "books_port": self._ports[0],
            "database_port": self._ports[1],
            "password": PASSWORD,
            "nodes": nodes,
            "all": ",".join(f"node{number}" for number in range(1, nodes + 1)),
            "node_ports": f"[{','.join(str(port) for port in self._ports[3:])}]",
            "spare_port": self._ports[2],
            "cores": CORES,
            "memory": MEMORY_MIB,
            "gpus": GPUS,
        }

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to speak to this Slurm."""
        return {"SLURM_CONF": str(self.conf)}

    # Beginning and end

    def start(self) -> SlurmSite:
        for name in ("munge", "log", "state", *(f"spool.{name}" for name in self._names())):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        self._start_munge()
        accounting = "AccountingStorageType=accounting_storage/none"
        if self.books:
            accounting = ACCOUNTING.format(**self._words)
        self.conf.write_text(CONTROLLER.format(**self._words, accounting=accounting))
        self._make_gpus()
        if self.books:
            self._start_books()
        self.start_controller()
        for name in self._names():
            self.start_node(name)
        _until(lambda: self.idle() == self.nodes, "nodes")
        return self

    def stop(self) -> None:
        for name in ("slurmctld", *self._names(), "slurmdbd"):
            self.kill(name)
        self.kill("mariadbd", signal.SIGTERM)
        self.kill("munged", signal.SIGTERM)
        self._end_steps()

    def _names(self) -> list[str]:
        """Of the nodes; "spare" has a partition of that name for itself."""
        return [*(f"node{number}" for number in range(1, self.nodes + 1)), "spare"]

    def _make_gpus(self) -> None:
        for number in range(GPUS):
            (self.folder / f"gpu{number}").touch()
        files = f"{self.folder}/gpu[0-{GPUS - 1}]"
        nodes = f"node[1-{self.nodes}]"
        line = f"NodeName={nodes} Name=gpu Type=h200 File={files}\n"
        (self.folder / "gres.conf").write_text(line)

    def _start_munge(self) -> None:
        munge = self.folder / "munge"
        munge.chmod(0o755)
        key = munge / "key"
        key.write_bytes(secrets.token_bytes(1024))
        key.chmod(0o400)
        options = {
            "key-file": key,
            "socket": munge / "socket",
            "pid-file": munge / "pid",
            "log-file": self.folder / "log" / "munged.log",
            "seed-file": munge / "seed",
            "num-threads": 2,
        }
        named = [f"--{name}={value}" for name, value in options.items()]
        self._start("munged", ["munged", "--foreground", "--force", *named])
        _until(lambda: (munge / "socket").exists(), "munge")

    def _start_books(self) -> None:
        data, sock = self.folder / "database", self.folder / "database.sock"
        if not data.exists():
            made = ["mariadb-install-db", "--no-defaults", "--user=root", f"--datadir={data}"]
            made += ["--auth-root-authentication-method=socket", "--skip-test-db"]
            subprocess.run(made, check=True, capture_output=True, timeout=60)
        options = [f"--datadir={data}", f"--socket={sock}", f"--pid-file={data}/pid"]
        options += ["--bind-address=127.0.0.1", f"--port={self._words['database_port']}"]
        options += ["--innodb-buffer-pool-size=64M", "--innodb-lock-wait-timeout=900"]
        options += ["--innodb-flush-log-at-trx-commit=0"]
        self._start("mariadbd", ["mariadbd", "--no-defaults", "--user=root", *options])
        client = ["mariadb", "--no-defaults", "-S", str(sock), "-e"]
        _until(lambda: _works([*client, "select 1"]), "MariaDB")
        hosts = ("localhost", "127.0.0.1")
        users = [
            f"create user if not exists 'slurm'@'{h}' identified by '{PASSWORD}'" for h in hosts
        ]
        rights = [f"grant all on slurm_acct_db.* to 'slurm'@'{host}'" for host in hosts]
        statements = "; ".join(["create database if not exists slurm_acct_db", *users, *rights])
        subprocess.run([*client, statements], check=True, capture_output=True, timeout=30)
        conf = self.folder / "slurmdbd.conf"
        conf.write_text(DATABASE.format(**self._words))
        conf.chmod(0o600)
        self._start("slurmdbd", ["slurmdbd", "-D"])
        _until(lambda: self.works("sacctmgr", "-n", "list", "cluster"), "slurmdbd")
        if not self.works("sacctmgr", "-i", "add", "cluster", "labtest"):
            return  # it was there
        self.run("sacctmgr", "-i", "add", "account", "lab")
        self.run("sacctmgr", "-i", "add", "account", "nobody")
        self.run("sacctmgr", "-i", "add", "user", "root", "account=lab", "defaultaccount=lab")

    def start_controller(self) -> None:
        self._start("slurmctld", ["slurmctld", "-D"])
        _until(
            lambda: self.works("scontrol", "ping") and "UP" in self.run("scontrol", "ping"), "it"
        )

    def start_node(self, name: str) -> None:
        self._start(name, ["slurmd", "-D", "-N", name])

    def _start(self, name: str, arguments: Sequence[str]) -> None:
        log = (self.folder / "log" / f"{name}.out").open("ab")
        # However the tests end, nothing is left behind: the kernel sees to it.
        mortal = ["setpriv", "--pdeathsig", "KILL", "--", *arguments]
        self.parts[name] = subprocess.Popen(
            mortal,
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=self.folder,
            start_new_session=True,
        )
        log.close()

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """End a part: slurmctld, node1, node2, …, slurmdbd, mariadbd, munged."""
        process = self.parts.pop(name, None)
        if process is not None and process.poll() is None:
            process.send_signal(number)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)

    def _end_steps(self) -> None:
        """End what jobs have left running: their shepherds outlive the nodes' own processes."""
        mark = f"SLURM_CONF={self.conf}".encode()
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                words = (entry / "cmdline").read_bytes()
                ours = mark in (entry / "environ").read_bytes().split(b"\0")
                if ours and words.startswith(b"slurmstepd"):
                    os.kill(int(entry.name), signal.SIGKILL)
            except OSError:
                continue

    # Questions and orders

    def run(self, *arguments: str) -> str:
        """Run one of Slurm's programs; return what it prints."""
        done = subprocess.run(
            arguments,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        return done.stdout

    def works(self, *arguments: str) -> bool:
        return _works(arguments, {**os.environ, **self.environment})

    def idle(self) -> int:
        """How many nodes could take work."""
        try:
            states = self.run("sinfo", "-h", "-N", "-p", "debug", "-o", "%T").split()
        except subprocess.SubprocessError:
            return 0
        return sum(state in ("idle", "mixed", "allocated", "completing") for state in states)

    def queue(self) -> list[str]:
        """Return the ids of jobs that wait or run, each task of an array on its own; none of the
        spare node's.
        """
        return self.run("squeue", "-h", "-r", "-p", "debug,urgent", "-o", "%i").split()

    def is_empty(self, seconds: float = 30.0) -> bool:
        """Whether no job waits or runs, once Slurm has noticed what has ended."""
        limit = time.monotonic() + seconds
        while self.queue():
            if time.monotonic() > limit:
                return False
            time.sleep(0.1)
        return True

    def submitted(self) -> int:
        """How many jobs were ever submitted: the number of the newest."""
        jobs = self.run("squeue", "-h", "-r", "-t", "all", "-o", "%A").split()
        return max((int(job) for job in jobs), default=0)


def _works(arguments: Sequence[str], environment: dict[str, str] | None = None) -> bool:
    try:
        done = subprocess.run(arguments, env=environment, capture_output=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _until(condition: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what} did not come up within {seconds:g} s")
        time.sleep(0.05)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="A throw-away Slurm")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--no-books", action="store_true", help="without accounting")
    options = parser.parse_args()
    site = SlurmSite(options.folder, nodes=options.nodes, books=not options.no_books).start()
    print(f"SLURM_CONF={site.conf}", flush=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        signal.pause()
    except KeyboardInterrupt:
        site.stop()


if __name__ == "__main__":
    main()
