"""The demo from nothing to its table, what it leaves behind, and how it recovers from a kill."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from labportal import embedded

pytestmark = pytest.mark.xdist_group("whole")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="labportal-demo-"))
    guard = embedded.throw_away(folder)
    yield folder
    command(folder, "--stop").wait(30)
    assert guard.stdin is not None
    guard.stdin.close()
    guard.wait(30)


def command(home: Path, *options: str) -> subprocess.Popen[str]:
    names = ("PATH", "HOME", "LANG")
    return subprocess.Popen(
        [sys.executable, "-m", "labportal.demo", *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={name: os.environ[name] for name in names if name in os.environ}
        | {"LABPORTAL_HOME": str(home), "LABPORTAL_STATIC_MANIFEST": "no", "COLUMNS": "120"},
    )


def left_over(home: Path) -> list[str]:
    """Name the programs that still work for this folder."""
    found = []
    for process in psutil.process_iter(["name", "cmdline", "environ", "status"]):
        environment = process.info["environ"] or {}
        ours = environment.get("LABPORTAL_HOME") == str(home) or str(home) in " ".join(
            process.info["cmdline"] or []
        )
        guard = "guard" in (process.info["cmdline"] or [])
        if ours and not guard and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(" ".join(process.info["cmdline"] or []))
    return found


@pytest.mark.timeout(240)
def test_the_demo_does_the_main_job_and_leaves_nothing_running(home: Path) -> None:
    first = command(home, "--once")
    words, _ = first.communicate(timeout=120)
    assert first.returncode == 0, words
    assert words.count("│ valid") == 5
    assert re.search(r"Polarizability along the field: 5\.1\d\d ± 0\.0\d\d a\.u\.", words)
    assert re.search(r"http://localhost:\d+/calculations/1/", words)
    assert re.search(r"The model gait answered in \d+ ms: limping, 92 steps/min", words)
    assert re.search(r"The model echo answered in \d+ ms: Hello, lab", words)
    assert left_over(home) == []

    shown = dict(re.findall(r"^  (\w+) +(?:user|moderator|admin) +(\S+)$", words, re.MULTILINE))
    assert set(shown) == {"ada", "max", "root"}
    kept = [
        str(file)
        for file in home.rglob("*")
        if file.is_file() and any(word.encode() in file.read_bytes() for word in shown.values())
    ]
    assert kept == []
    assert (home / "agent.ini").stat().st_mode & 0o777 == 0o600

    second = command(home, "--once")
    words, _ = second.communicate(timeout=120)
    assert second.returncode == 0, words
    assert "were shown at the first start" in words
    assert re.search(r"http://localhost:\d+/calculations/2/", words)
    assert words.count(" answered in ") == 2


@pytest.mark.timeout(240)
def test_ctrl_c_ends_everything_and_a_kill_is_mended(home: Path) -> None:
    killed = command(home)
    wait_for_page(home, killed)
    killed.send_signal(signal.SIGKILL)
    killed.wait(10)
    assert left_over(home) != []

    again = command(home)
    wait_for_page(home, again)
    again.send_signal(signal.SIGINT)
    words, _ = again.communicate(timeout=30)
    assert again.returncode == 0, words
    assert left_over(home) == []

    third = command(home)
    wait_for_page(home, third)
    assert command(home, "--stop").wait(30) == 0
    words, _ = third.communicate(timeout=5)
    assert third.returncode == 0, words
    assert "failed" not in words
    assert left_over(home) == []


def wait_for_page(home: Path, starter: subprocess.Popen[str]) -> None:
    """Wait until every part is started by this starter, and the first page comes."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        time.sleep(0.2)
        try:
            port = json.loads((home / "ports.json").read_text())["web"]
            parts = json.loads((home / "processes.json").read_text()).values()
            if sum(psutil.Process(pid).ppid() == starter.pid for pid, _ in parts) < 4:
                continue
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/sign-in/", timeout=1) as page:
                assert page.status == 200
                return
        except (OSError, KeyError, ValueError, psutil.Error):
            continue
    raise AssertionError("the first page did not come")
