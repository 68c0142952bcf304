"""The servers out of wheels: they start, keep what they were told, are adopted, and end."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg2
import pytest
import redis

from labportal import embedded
from labportal.embedded.postgres import Postgres

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that guards itself: its servers end even if the test run is killed."""
    folder = Path(tempfile.mkdtemp(prefix="labportal-embedded-"))
    guard = embedded.throw_away(folder)
    yield folder
    assert guard.stdin is not None
    guard.stdin.close()
    guard.wait(30)


def postmaster(home: Path) -> int:
    return int((home / "postgres" / "postmaster.pid").read_text().split()[0])


def redis_pid(url: str) -> int:
    return int(redis.Redis.from_url(url).info("server")["process_id"])


def ask(url: str, sql: str) -> list[tuple[object, ...]]:
    link = psycopg2.connect(url)
    link.autocommit = True
    with link.cursor() as cursor:
        cursor.execute(sql)
        rows = cursor.fetchall() if cursor.description else []
    link.close()
    return rows


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_what_was_written_is_there_after_stop_and_start(home: Path) -> None:
    servers = embedded.start(home)
    ask(servers.database_url, "CREATE TABLE kept AS SELECT 42 AS answer")
    redis.Redis.from_url(servers.redis_url).set("kept", "yes")
    pids = (postmaster(home), redis_pid(servers.redis_url))

    embedded.stop(home)
    assert all(gone(pid) for pid in pids)
    assert not (home / "servers.env").exists()

    again = embedded.start(home)
    assert ask(again.database_url, "SELECT answer FROM kept") == [(42,)]
    assert redis.Redis.from_url(again.redis_url).get("kept") == b"yes"


def test_a_killed_starter_leaves_servers_that_the_next_start_adopts(home: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from labportal import embedded;"
        "embedded.start(Path(sys.argv[1])); print('up', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(home)], cwd=ROOT, stdout=subprocess.PIPE
    ) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == b"up\n"
        starter.send_signal(signal.SIGKILL)
    left = postmaster(home)
    assert not gone(left)

    servers = embedded.start(home)
    assert postmaster(home) == left
    assert ask(servers.database_url, "SELECT 1") == [(1,)]


def test_killed_servers_are_started_anew_with_their_data(home: Path) -> None:
    servers = embedded.start(home)
    ask(servers.database_url, "CREATE TABLE kept AS SELECT 42 AS answer")
    os.kill(postmaster(home), signal.SIGKILL)
    os.kill(redis_pid(servers.redis_url), signal.SIGKILL)
    again = embedded.start(home)
    assert ask(again.database_url, "SELECT answer FROM kept") == [(42,)]
    assert again == servers, "a portal that runs on must find them"
    assert redis.Redis.from_url(servers.redis_url).ping()


def test_a_pid_file_that_names_another_program_is_not_believed(home: Path) -> None:
    embedded.start(home)
    embedded.stop(home)
    (home / "postgres" / "postmaster.pid").write_text(f"{os.getpid()}\n{home}/postgres\n")
    servers = embedded.start(home)
    assert ask(servers.database_url, "SELECT 1") == [(1,)]


def test_only_the_owner_may_read_passwords_and_reach_the_socket(home: Path) -> None:
    embedded.start(home)
    for name in ("servers.env", "redis/redis.conf", "ports.json"):
        assert (home / name).stat().st_mode & 0o077 == 0, name
    assert Postgres(home).sockets.stat().st_mode & 0o077 == 0


def test_a_stranger_without_the_password_is_refused_by_redis(home: Path) -> None:
    url = embedded.start(home).redis_url
    with pytest.raises(redis.AuthenticationError):
        redis.Redis.from_url(f"redis://{url.partition('@')[2]}").ping()


def test_a_long_path_gets_a_short_socket(home: Path) -> None:
    deep = home / ("x" * 60) / ("y" * 60)
    servers = embedded.start(deep)
    try:
        assert ask(servers.database_url, "SELECT 1") == [(1,)]
        assert len(str(Postgres(deep).sockets)) < 60
    finally:
        embedded.stop(deep)
        Postgres(deep).sockets.rmdir()


def test_a_remembered_port_stays_unless_it_is_taken(tmp_path: Path) -> None:
    first = embedded.remembered_port(tmp_path, "web")
    assert embedded.remembered_port(tmp_path, "web", 1) == first
