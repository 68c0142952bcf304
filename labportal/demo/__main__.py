"""python -m labportal.demo: start everything, do the main job, stay up until Ctrl-C.

The web server starts first and everything else beside it: the first page comes within seconds.
"""

import argparse
import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.markup import escape

from labportal import embedded
from labportal.demo import calls, journey, served
from labportal.demo.api import Portal, Refused
from labportal.demo.processes import ProcessEnded, Processes

ROOT = Path(__file__).resolve().parents[2]
HOME = Path(os.environ.get("LABPORTAL_HOME") or embedded.DEFAULT_HOME)
START_SECONDS, END_SECONDS = 60, 60
PYTHON = sys.executable
WORKER = ("--queues=labportal,exchange", "--concurrency=2")
# They wait for other machines, not for the processor: threads.
CARRIERS = (
    "--hostname=carriers@%h",
    "--queues=carriers,exchange,inference",
    "--pool=threads",
    "--concurrency=4",
)


class Stopped(Exception):
    """Somebody asked for the end: Ctrl-C, or a signal."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="end after the table of results")
    parser.add_argument(
        "--stop", action="store_true", help="stop the demo that runs, and what one left"
    )
    options = parser.parse_args()
    console = Console(highlight=False)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    os.chdir(ROOT)
    os.umask(0o077)
    processes = Processes(HOME)
    if options.stop:
        _end_running()
        processes.end_left_over()
        served.end(HOME)
        embedded.stop(HOME)
        return 0
    with _only_demo(console) as alone:
        if not alone:
            return 1
        try:
            return _demo(console, processes, once=options.once)
        except Stopped:
            return 0
        except (ProcessEnded, Refused, embedded.ServerFailed, OSError) as error:
            console.print(f"[red]The demo failed.[/red] {escape(str(error))}")
            return 1
        finally:
            _end(console, processes)


def _demo(console: Console, processes: Processes, *, once: bool) -> int:
    began = time.monotonic()
    processes.end_left_over()
    with console.status("Starting PostgreSQL and Redis"):
        servers = embedded.start(HOME)
    port = embedded.remembered_port(HOME, "web", 8000)
    url = f"http://localhost:{port}"
    environment = servers.environment() | {
        "LABPORTAL_HOME": str(HOME),
        "LABPORTAL_URL": url,
        "LABPORTAL_LOG": "text",
        "PYTHONUNBUFFERED": "1",
    }
    processes.start("web", _web(port), environment)
    portal = Portal(f"http://127.0.0.1:{port}")
    with console.status("Starting the portal"):
        lab = _prepare_lab(environment)
        for name, command in _others().items():
            processes.start(name, command, environment)
        _wait_for(portal, processes)
    seconds = time.monotonic() - began
    console.print(f"The portal is up after {seconds:.1f} s: [bold]{url}[/bold]  (Ctrl-C stops it)")
    _tell_passwords(console, lab["passwords"])
    if "ada" in lab["passwords"]:
        portal.sign_in("ada", lab["passwords"]["ada"])
    else:
        portal.token = lab["token"]
    valid = journey.run(portal, console, processes.check, public_url=url)
    answered = calls.run(portal, console, processes.check, public_url=url)
    if once:
        return 0 if valid and answered else 1
    while True:
        processes.check()
        time.sleep(0.5)


def _web(port: int) -> list[str]:
    options = ["--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"]
    graceful = ["--timeout-graceful-shutdown", "2", "--no-server-header"]
    return [PYTHON, "-m", "uvicorn", "labportal.asgi:application", *options, *graceful]


def _others() -> dict[str, list[str]]:
    celery = [PYTHON, "-m", "celery", "--app", "labportal"]
    quick = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    agent = [PYTHON, str(HOME / "labportal-agent.pyz"), "--config", str(HOME / "agent.ini")]
    return {
        "agent": [*agent, "run"],
        "worker": [*celery, "worker", *WORKER, "--loglevel", "info", *quick],
        "carriers": [*celery, "worker", *CARRIERS, "--loglevel", "info", *quick],
        "beat": [*celery, "beat", "--loglevel", "info"],
    }


def _prepare_lab(environment: dict[str, str]) -> dict[str, Any]:
    result = subprocess.run(  # noqa: S603 - our own command
        [PYTHON, "manage.py", "demo_lab"],
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if result.returncode:
        raise ProcessEnded(f"The lab could not be prepared:\n{result.stderr[-2000:]}")
    return dict(json.loads(result.stdout.splitlines()[-1]))


def _wait_for(portal: Portal, processes: Processes) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not portal.answers():
        processes.check()
        if time.monotonic() > deadline:
            raise ProcessEnded("the portal does not answer")
        time.sleep(0.1)


def _tell_passwords(console: Console, passwords: dict[str, str]) -> None:
    roles = {"ada": "user", "max": "moderator", "root": "admin"}
    if not passwords:
        console.print(
            "Sign in as ada, max or root; their passwords were shown at the first start "
            "(a new one, while this runs: [bold]manage.py changepassword ada[/bold])"
        )
        return
    console.print("Sign in as one of these; the passwords are shown this once:")
    for name, role in roles.items():
        if name in passwords:
            console.print(f"  {name:<5} {role:<10} [bold]{passwords[name]}[/bold]")


@contextlib.contextmanager
def _only_demo(console: Console) -> Iterator[bool]:
    """Let one demo run in a checkout; the lock ends with the process, however that ends."""
    HOME.mkdir(parents=True, exist_ok=True)
    with (HOME / "demo.lock").open("a+") as lock:
        if not _is_free(lock):
            console.print("A demo of this checkout is running already.")
            yield False
            return
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield True


def _end_running() -> None:
    """Have a demo that runs end as by Ctrl-C, and wait for it."""
    with contextlib.suppress(FileNotFoundError), (HOME / "demo.lock").open() as lock:
        deadline, asked = time.monotonic() + END_SECONDS, False
        while not _is_free(lock) and time.monotonic() < deadline:
            lock.seek(0)
            pid = lock.read()
            if pid.isdecimal() and not asked:
                os.kill(int(pid), signal.SIGTERM)
                asked = True
            time.sleep(0.1)


def _is_free(lock: TextIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _end(console: Console, processes: Processes) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    began = time.monotonic()
    processes.end()
    served.end(HOME)
    embedded.stop(HOME)
    console.print(f"Stopped in {time.monotonic() - began:.1f} s; everything is kept for next time.")


def _stop(*_: Any) -> None:
    raise Stopped


if __name__ == "__main__":
    sys.exit(main())
