"""A whole portal on throw-away servers: web, worker, beat and agents as real processes, for
benchmarks and chaos tests.

Everything lives in one temporary folder and ends with the process that made it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import psycopg2

from bench import migrated
from bench.client import Client
from bench.live import Watcher
from labportal import embedded
from labportal.embedded.files import alive

ROOT = Path(__file__).resolve().parent.parent
PERSON, PASSWORD = "bench", "bench-password-of-a-throw-away-portal"
SEED = """
import json, os
from clusters import keys
from clusters.models import Cluster
from labportal.accounts.models import Level, User
admin, _ = User.objects.get_or_create(username="admin", defaults={"role": "admin"})
person = User.objects.filter(username=os.environ["BENCH_PERSON"]).first()
if person is None:
    person = User.objects.create_user(
        os.environ["BENCH_PERSON"], password=os.environ["BENCH_PASSWORD"],
        role="user", notification_level=Level.NONE)
secrets = []
for number in range(int(os.environ["BENCH_CLUSTERS"])):
    carrier = "queue" if str(number) in os.environ["BENCH_NODES"].split() else "https"
    cluster, _ = Cluster.objects.get_or_create(
        name=f"cluster-{number}", defaults={"carrier": carrier})
    secrets.append([cluster.pk, cluster.name, keys.issue(cluster, actor=admin)[1]])
print(json.dumps(secrets))
"""
OFFERS = """
    SELECT 1 FROM clusters_cluster
    WHERE id = %s AND capacity->'software'->%s->>'ok' = 'true'"""
BUILD = """
import pathlib, sys
from clusters.agent_file import build
build(pathlib.Path(sys.argv[1]))
"""


class Stack:
    """`with Stack() as stack:`; processes are started one by one by name and may be killed at any
    moment.
    """

    def __init__(
        self,
        *,
        clusters: int = 1,
        nodes: Collection[int] = (),
        durable: bool = True,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="labportal-bench-"))
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._clusters, self._nodes, self._durable = clusters, nodes, durable
        self._more = dict(environment or {})
        self.keys: list[tuple[int, str, str]] = []

    def __enter__(self) -> Stack:
        self._guard = embedded.throw_away(self.home)
        servers = embedded.start(self.home, durable=self._durable)
        self.port = embedded.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            **os.environ,
            **servers.environment(),
            "LABPORTAL_HOME": str(self.home / "portal"),
            "LABPORTAL_URL": self.url,
            "LABPORTAL_STATIC_MANIFEST": "no",
            "LABPORTAL_SOFTWARE": "noop=bench.noop:Noop",
            "SECRET_KEY": "only-for-benchmarks-" + "x" * 40,
            "DJANGO_SETTINGS_MODULE": "labportal.settings",
            "BENCH_PERSON": PERSON,
            "BENCH_PASSWORD": PASSWORD,
            "BENCH_CLUSTERS": str(self._clusters),
            "BENCH_NODES": " ".join(map(str, self._nodes)),
            **self._more,
        }
        (self.home / "portal").mkdir()
        migrated.fill(self.home, self.environment)
        self.keys = [tuple(item) for item in self.python(SEED)]
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes.values():
            process.terminate()
        for name in list(self.processes):
            self.stop(name)
        self._end_jobs()
        if self._guard.stdin is not None:
            self._guard.stdin.close()
        self._guard.wait(180)  # a busy machine stops its servers slowly
        shutil.rmtree(self.home, ignore_errors=True)

    def python(self, code: str) -> Any:
        """Run code inside the portal's Django and return what it prints as JSON."""
        import json

        setup = "import django; django.setup()\n"
        command = [sys.executable, "-c", setup + code]
        done = subprocess.run(  # noqa: S603
            command, cwd=ROOT, env=self.environment, check=True, stdout=subprocess.PIPE
        )
        return json.loads(done.stdout.splitlines()[-1])

    def start(
        self, name: str, command: list[str], environment: Mapping[str, str] | None = None
    ) -> None:
        log = (self.home / f"{name}.log").open("ab")
        self.processes[name] = subprocess.Popen(  # noqa: S603
            command,
            cwd=ROOT,
            env={**self.environment, **(environment or {})},
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    def start_web(self) -> None:
        self.begin_web()
        self.wait_for_web()

    def begin_web(self) -> None:
        self.start(
            "web",
            [
                *(sys.executable, "-m", "uvicorn", "labportal.asgi:application"),
                *("--host", "127.0.0.1", "--port", str(self.port), "--lifespan", "on"),
                *("--no-access-log", "--log-level", "warning", "--timeout-graceful-shutdown", "2"),
            ],
        )

    def wait_for_web(self, seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), Client(self.url) as client:
                if client.request("GET", "/healthz")[0] == 200:
                    return
            time.sleep(0.05)
        raise TimeoutError(f"web does not answer:\n{self.tail('web')}")

    def start_worker(self) -> None:
        self.start(
            "worker",
            [
                *(sys.executable, "-m", "celery", "-A", "labportal", "worker"),
                *("--queues", "labportal,exchange", "--concurrency", "1"),
                *("--loglevel", "warning", "--without-gossip", "--without-mingle"),
            ],
        )

    def start_carriers(self, *, threads: int = 4) -> None:
        """Start the worker that carries exchanges which the portal begins (SSH, queue)."""
        self.start(
            "carriers",
            [
                *(sys.executable, "-m", "celery", "-A", "labportal", "worker"),
                *("--hostname", "carriers@%h", "--queues", "carriers,exchange,inference"),
                *("--pool", "threads", "--concurrency", str(threads), "--loglevel", "warning"),
                *("--without-gossip", "--without-mingle"),
            ],
        )

    def start_beat(self) -> None:
        self.start("beat", [sys.executable, "-m", "celery", "-A", "labportal", "beat"])

    def agent_file(self) -> Path:
        target = self.home / "labportal-agent.pyz"
        if not target.exists():
            command = [sys.executable, "-c", BUILD, str(target)]
            subprocess.run(command, cwd=ROOT, env=self.environment, check=True)  # noqa: S603
        return target

    def work(self, number: int) -> Path:
        return self.home / f"work-{number}"

    def start_agent(
        self,
        number: int = 0,
        *,
        slots: int = 2,
        url: str = "",
        settings: str = "",
        serving: str = "enabled = no",
        environment: Mapping[str, str] | None = None,
        launcher: Sequence[str] = (),
    ) -> None:
        """Start the agent of a cluster from the agent file, as a cluster would.

        It reaches the portal at `url`, where that is not the portal itself; `settings` follow the
        section [agent], `serving` stands in the section of that name, `launcher` is a program with
        its arguments that starts the agent file.
        """
        config = self.home / f"agent-{number}.ini"
        config.write_text(
            f"[portal]\nurl = {url or self.url}\nkey = {self.keys[number][2]}\n"
            f"[serving]\n{serving}\n"
            f"[agent]\nwork = {self.work(number)}\nslots = {slots}\n"
            f"cores = {max(slots, 4)}\n{settings}"
        )
        config.chmod(0o600)
        self.start(
            f"agent-{number}",
            [
                *(sys.executable, *launcher, str(self.agent_file())),
                *("--config", str(config), "run", "--quiet"),
            ],
            environment,
        )

    def start_node(
        self,
        number: int = 0,
        *,
        slots: int = 2,
        serving: str = "enabled = no",
        environment: Mapping[str, str] | None = None,
        name: str = "",
    ) -> None:
        """Start a node of the carrier queue with the key of a cluster that is among `nodes`, as on
        a machine without Django. `name` tells apart what is started with the same key.
        """
        _, cluster, key = self.keys[number]
        work = self.home / f"work-{name}" if name else self.work(number)
        name = name or f"node-{number}"
        trap = self.home / "without-django" / "django.py"
        trap.parent.mkdir(exist_ok=True)
        trap.write_text("raise ImportError('nodes have no Django')\n")
        config = self.home / f"{name}.ini"
        config.write_text(
            f"[portal]\nurl = {self.url}\nkey = {key}\n"
            f"[queue]\nname = {cluster}\nbroker = {self.broker}\n"
            f"[serving]\n{serving}\n"
            f"[agent]\ncarrier = queue\nwork = {work}\n"
            f"slots = {slots}\ncores = {max(slots, 4)}\n"
        )
        config.chmod(0o600)
        command = [sys.executable, "-m", "clusters.node", "--queue", cluster]
        environment = {"PYTHONPATH": str(trap.parent), **(environment or {})}
        self.start(name, [*command, "--config", str(config), "--quiet"], environment)

    @property
    def broker(self) -> str:
        return self.environment.get("CELERY_BROKER_URL") or self.environment["REDIS_URL"]

    def wait_for_agent(
        self, number: int = 0, seconds: float = 60, *, software: str = "noop"
    ) -> None:
        """Wait until the agent has told that its machine has this software."""
        deadline = time.monotonic() + seconds
        while not self._offers(self.keys[number][0], software):
            if time.monotonic() > deadline:
                names = (f"agent-{number}", f"node-{number}")
                said = "\n".join(self.tail(name) for name in names if name in self.processes)
                raise TimeoutError(f"the agent was not heard:\n{said}")
            time.sleep(0.05)

    def _offers(self, cluster: int, software: str) -> bool:
        """Asked at the database, since Django takes long to start."""
        connection = psycopg2.connect(self.environment["DATABASE_URL"])
        with contextlib.closing(connection), connection.cursor() as cursor:
            cursor.execute(OFFERS, (cluster, software))
            return cursor.fetchone() is not None

    def kill(self, name: str, sign: int = signal.SIGKILL) -> None:
        process = self.processes.pop(name)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        process.wait(20)

    def signal(self, name: str, sign: int) -> None:
        """Send a signal to a process and its children."""
        os.killpg(self.processes[name].pid, sign)

    def server(self, name: str) -> psutil.Process:
        """The process of "postgres" or "redis", also where it stands still."""
        if name == "postgres":
            marks = (self.home / "postgres" / "postmaster.pid").read_text()
            return psutil.Process(int(marks.split()[0]))
        return next(
            p for p in psutil.process_iter(["cwd"]) if p.info["cwd"] == str(self.home / name)
        )

    def signal_server(self, name: str, sign: int) -> None:
        """Send a signal to all processes of a server."""
        process = self.server(name)
        for each in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                each.send_signal(sign)

    def kill_server(self, name: str) -> None:
        """End "postgres" (as `pg_ctl -m immediate` does) or "redis" without a chance to tidy up."""
        process = self.server(name)
        process.send_signal(signal.SIGQUIT if name == "postgres" else signal.SIGKILL)
        while alive(process):
            time.sleep(0.01)

    def start_servers(self) -> None:
        """Start what was killed, where it was."""
        embedded.start(self.home, durable=self._durable)

    def stop(self, name: str) -> None:
        process = self.processes[name]
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        self.kill(name)

    def _end_jobs(self) -> None:
        """What agents started goes on without them, as it should; not without the stack."""
        for process in psutil.process_iter(["cwd"]):
            folder = process.info["cwd"]  # None where we may not ask
            if folder and any(Path(folder).is_relative_to(w) for w in self.home.glob("work-*")):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()

    def tail(self, name: str, characters: int = 3000) -> str:
        return (self.home / f"{name}.log").read_text(errors="replace")[-characters:]

    @contextlib.contextmanager
    def watcher(self, client: Client) -> Iterator[Watcher]:
        """The live events of the default project."""
        project = next(p for p in client.get("/api/v1/projects/")["results"] if p["is_default"])
        with Watcher(self.url, client.token, project["id"]) as watcher:
            yield watcher

    @contextlib.contextmanager
    def client(self) -> Iterator[Client]:
        """A client that is signed in as the scientist."""
        with Client(self.url) as client:
            client.sign_in(PERSON, PASSWORD)
            yield client
