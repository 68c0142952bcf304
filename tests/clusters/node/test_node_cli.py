"""The command line of a node: what it keeps, what it never shows, what it says is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
import redis
from kombu import Connection

from clusters import node_wheel
from clusters.node import cli, settings
from clusters.node.queues import node_queue
from clusters.node.worker import make_app

REPOSITORY = Path(__file__).resolve().parents[3]
KEY = "lpk_ab12cd34_secret"
BROKER = "redis://:hidden@127.0.0.1:1/0"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "node.ini"


def given(file: Path, *more: str, **changes: str) -> list[str]:
    options = {
        "queue": "gpu-1",
        "broker": BROKER,
        "url": "http://127.0.0.1:1",
        "key": KEY,
        "work": str(file.parent / "work"),
        "config": str(file),
        **changes,
    }
    words = [word for name, value in options.items() if value for word in (f"--{name}", value)]
    return [*words, *more]


def test_what_is_said_once_is_kept_in_a_file_of_its_owner(file: Path) -> None:
    cli.main(given(file, "--check"))
    assert file.stat().st_mode & 0o777 == 0o600
    kept = settings.load(file, "gpu-1")
    assert (kept.key, kept.queue["broker"], kept.url) == (KEY, BROKER, "http://127.0.0.1:1")
    assert kept.carrier == "queue"
    cli.main(
        ["--queue", "gpu-1", "--config", str(file), "--slots", "3", "--gpus", "0,1", "--check"]
    )
    changed = settings.load(file, "gpu-1")
    assert (changed.slots, changed.gpus, changed.key) == (3, "0,1", KEY)


def test_no_list_of_processes_shows_a_secret_once_it_runs(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[list[str]] = []

    def execv(_: str, command: list[str]) -> None:
        begun.append(command)

    monkeypatch.setattr(os, "execv", execv)
    monkeypatch.setattr(cli, "run", lambda *_, **__: 0)
    cli.main(given(file))
    assert begun[0][-4:] == ["--queue", "gpu-1", "--config", str(file)]
    assert not any("hidden" in word or "secret" in word for word in begun[0])
    cli.main(["--queue", "gpu-1", "--config", str(file)])
    assert len(begun) == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"queue": "GPU 1"}, "use the cluster's name"),
        ({"broker": ""}, "--broker is missing"),
        ({"work": ""}, "--work is missing"),
        ({"broker": "http://broker"}, "no address of a broker"),
        ({"broker": "redis://:hidden@"}, "no address of a broker"),
        ({"key": "hello"}, "no key of a cluster"),
        ({"url": "http://portal.lab"}, "use https"),
        ({"gpus": "all"}, "use auto, none, or indexes"),
        ({"slots": "many"}, "invalid literal"),
    ],
)
def test_wrong_settings_are_named_and_nothing_is_written(
    file: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, str], words: str
) -> None:
    assert cli.main(given(file, "--check", **changes)) == 2
    said = capsys.readouterr().err
    assert words in said
    assert "hidden" not in said
    assert "secret" not in said
    assert not file.exists()


def test_the_file_of_another_node_is_not_taken(file: Path, capsys: pytest.CaptureFixture) -> None:
    cli.main(given(file, "--check"))
    assert cli.main(["--queue", "gpu-2", "--config", str(file), "--check"]) == 2
    assert "is of the node 'gpu-1'" in capsys.readouterr().err
    assert cli.main(["--queue", "gpu-3", "--config", str(file.parent / "no.ini")]) == 2


def test_a_check_names_what_is_missing_without_the_password(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(given(file, "--check")) == 1
    said = capsys.readouterr().out
    assert "MISSING broker redis://:…@127.0.0.1:1/0: " in said
    assert "MISSING portal http://127.0.0.1:1: " in said
    assert "ok      work folder" in said
    assert "hidden" not in said
    cli.main(given(file, "--check", url="", config=str(file.with_name("b.ini"))))
    assert "no --url: runs that need or leave files cannot work" in capsys.readouterr().out


def test_a_key_is_read_where_none_is_said(
    file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    typed = tmp_path / "typed"
    typed.write_text(f"{KEY}\n")
    with typed.open() as stream:
        monkeypatch.setattr("sys.stdin", stream)
        cli.main(given(file, "--check", key=""))
    assert settings.load(file, "gpu-1").key == KEY


def test_a_unit_of_systemd_holds_no_secret(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(file.parent))
    assert cli.main(given(file, "--install-service")) == 0
    unit = (file.parent / "systemd/user/labportal-node-gpu-1.service").read_text()
    assert f"--queue gpu-1 --config {file}" in unit
    assert "KillMode=process" in unit
    assert "hidden" not in unit
    assert "secret" not in unit
    assert "enable --now labportal-node-gpu-1.service" in capsys.readouterr().out


def test_a_second_node_in_one_work_folder_leaves(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.main(given(file, "--check"))
    held = cli.lock(settings.load(file, "gpu-1"))
    assert held is not None
    assert cli.main(["--queue", "gpu-1", "--config", str(file)]) == 75
    assert "another agent works in" in capsys.readouterr().err
    os.close(held)


def test_no_module_of_the_node_imports_django(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['django'] = None\n"
        "from clusters.node import cli, worker\n"
        "app = worker.make_app('redis://localhost/0', 'gpu-1', 'p')\n"
        "app.WorkController; app.amqp.queues; app.finalize()\n"
        "print(sorted(m for m in sys.modules if m.split('.')[0] in ('django', 'labportal')))"
    )
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout == "['django']\n", done.stderr


def test_a_node_gives_back_none_of_the_portals_tasks() -> None:
    """Kombu's clients hand out anew what any of them has held for longer than their own time."""
    broker = os.environ["REDIS_URL"]

    def waiting() -> int:
        return redis.Redis.from_url(broker).llen("exports")

    with Connection(broker) as portal, portal.SimpleQueue("exports") as exports:
        exports.put({"long": "task"})
        held = exports.get(timeout=5)
        app = make_app(broker, "gpu-1", "p")
        app.conf.broker_transport_options["visibility_timeout"] = 0.01
        with app.connection_for_read() as connection:
            node_queue("gpu-1")(connection.default_channel).declare()
            time.sleep(0.02)
            connection.default_channel.qos.restore_visible()
        assert waiting() == 0
        with Connection(broker, transport_options={"visibility_timeout": 0.01}) as careless:
            careless.default_channel.qos.restore_visible()
        assert waiting() == 1  # what would have happened
        held.ack()
        redis.Redis.from_url(broker).delete("exports")


def test_the_wheel_holds_the_node_and_nothing_of_the_portal(tmp_path: Path) -> None:
    wheel = node_wheel.build(tmp_path)
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        about = next(name for name in names if name.endswith("METADATA"))
        assert "Requires-Dist: celery[redis]==" in archive.read(about).decode()
    assert "clusters/node/cli.py" in names
    assert "clusters/agent/agent.py" in names
    assert not any(name.startswith(("labportal/", "clusters/models")) for name in names)
    assert node_wheel.build(tmp_path).read_bytes() == wheel.read_bytes()


def test_the_wheel_works_where_nothing_else_of_us_is(tmp_path: Path) -> None:
    with zipfile.ZipFile(node_wheel.build(tmp_path)) as archive:
        archive.extractall(tmp_path / "site")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    command = [sys.executable, "-m", "clusters.node", "--version"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.startswith("labportal-node "), done.stderr
