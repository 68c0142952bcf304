"""The command line, the settings, and the one file that the agent is carried as."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clusters import agent_file
from clusters.agent import __version__, checks, config
from clusters.agent.cli import main
from clusters.agent.commands import Answer
from clusters.agent.config import BadConfig, load
from clusters.rehearsal.site import Site
from tests.clusters.agent.conftest import AgentProcess
from tests.clusters.agent.fake_portal import KEY, FakePortal

Describe = Callable[..., dict[str, Any]]


def call(agent: AgentProcess, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        agent.command(*arguments),
        env={**agent.environment(), "XDG_CONFIG_HOME": str(agent.folder / "xdg")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,
    )


def test_configure_asks_for_the_key_and_hides_the_file(agent: AgentProcess) -> None:
    agent.config.unlink()
    arguments = ["configure", "--url", "https://portal.lab/", "--work", str(agent.folder / "w")]
    done = call(agent, *arguments, "--slots", "3", input="lpk_a_b\n")
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE(agent.config.stat().st_mode) == 0o600
    settings = config.load(agent.config)
    assert (settings.url, settings.key, settings.slots) == ("https://portal.lab", "lpk_a_b", 3)
    assert "lpk_a_b" not in repr(settings)
    assert "lpk_a_b" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", r"\[agent\] is missing"),
        ("[agent]\nwork = w", r"\[portal\] is missing"),
        ("[portal]\nurl = ftp://x\nkey = k\n[agent]\nwork = w", "is not an address"),
        ("[portal]\nurl = http://portal.lab\nkey = k\n[agent]\nwork = w", "use https"),
        ("[portal]\nurl = https://portal.lab\n[agent]\nwork = w", "needs key or key_file"),
        ("[portal]\nurl = https://p\nkey = a b\n[agent]\nwork = w", "needs key or key_file"),
        ("[portal]\nurl = https://p\nkey_file = no\n[agent]\nwork = w", "cannot be read"),
        ("[portal]\nurl = https://p\nkey = k\n[agent]", "work is missing"),
        ("[portal]\nurl = https://p\nkey = k\n[agent]\nwork = w\nslots = 0", "between 1"),
        ("[portal]\nurl = https://p\nkey = k\n[agent]\nwork = w\nslots = many", "many"),
        ("no section", "cannot be read"),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "agent.ini"
    path.write_text(text)
    with pytest.raises(BadConfig, match=words):
        config.load(path)


def test_a_key_file_beside_the_settings_and_a_sites_own_settings(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("lpk_a_b\n")
    path = tmp_path / "agent.ini"
    path.write_text(
        "[portal]\nurl = https://p\nkey_file = key\n[agent]\nwork = w\n"
        "[software.siesta]\nexecutable = /opt/siesta\nlauncher = mpirun -n {cores}\n"
    )
    settings = config.load(path)
    assert settings.key == "lpk_a_b"
    assert settings.site("siesta")["launcher"] == "mpirun -n {cores}"
    assert settings.site("pyscf") == {}


def test_check_says_what_is_in_place(agent: AgentProcess, portal: FakePortal) -> None:
    portal.answers.append((400, {"code": "bad_document"}))
    done = call(agent, "check")
    assert done.returncode == 0, done.stdout
    assert "accepts the key" in done.stdout
    assert "probe: 1.0" in done.stdout
    portal.answers.append((401, {"code": "expired", "detail": "the key is expired"}))
    done = call(agent, "check")
    assert done.returncode == 1
    assert "expired" in done.stdout


@pytest.mark.parametrize(
    ("serving", "said"),
    [
        ("", [(False, "install podman 4"), (False, "install docker"), (True, "listen on 127.0.")]),
        ("runtimes = none", [(True, "this agent's settings say that it serves no models")]),
        (
            "runtimes = process\nhost = 127.0.0.1",
            [(True, "to their memory"), (False, "[serving] folders"), (True, "on 127.0.0.1")],
        ),
    ],
    ids=["engines", "none", "process"],
)
def test_check_says_what_models_are_served_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, serving: str, said: list[tuple[bool, str]]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    text = f"[portal]\nurl = http://localhost\nkey = k\n[agent]\nwork = w\n[serving]\n{serving}"
    found = checks.models(config.parse(text, tmp_path / "agent.ini"))
    assert [good for good, _ in found] == [good for good, _ in said]
    assert all(words in line for (_, words), (_, line) in zip(said, found, strict=True))


def test_once_executes_and_reports_over_several_calls(
    agent: AgentProcess, portal: FakePortal, spec: Describe
) -> None:
    key = portal.want(spec("sleep 0.3; echo data >kept.dat"))
    assert call(agent, "once").returncode == 0
    for _ in range(10):
        if key in portal.closed:
            break
        assert call(agent, "once").returncode == 0
    assert portal.report_of(key)["outcome"]["verdict"] == "valid"
    assert len(portal.reports) == 1
    portal.down = True
    assert call(agent, "once").returncode == 1


def test_a_second_agent_in_the_same_folder_leaves(agent: AgentProcess, portal: FakePortal) -> None:
    agent.start()
    portal.until(lambda: portal.requests)
    done = call(agent, "run")
    assert done.returncode == 75
    assert "another agent works in" in done.stderr


def test_missing_settings_and_the_version(agent: AgentProcess) -> None:
    assert call(agent, "--version").stdout == f"labportal-agent {__version__}\n"
    agent.config.unlink()
    done = call(agent, "run")
    assert done.returncode == 2
    assert "does not exist" in done.stderr


def test_the_service_leaves_programs_running(agent: AgentProcess) -> None:
    done = call(agent, "install-service")
    assert done.returncode == 0, done.stderr
    unit = agent.folder / "xdg" / "systemd" / "user" / "labportal-agent.service"
    text = unit.read_text()
    assert "KillMode=process" in text
    assert f"--config {agent.config} run" in text
    assert KEY not in text


def test_the_agent_file_is_the_same_twice_and_works_alone(
    agent: AgentProcess, portal: FakePortal, spec: Describe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABPORTAL_SOFTWARE", "probe=tests.clusters.agent.probe:Probe")
    file = agent.folder / "labportal-agent.pyz"
    digest = agent_file.build(file)
    assert digest == agent_file.build(agent.folder / "again.pyz")
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        assert archive.read("calculations/__init__.py") == b""
    assert not [name for name in names if "__pycache__" in name or "django" in name.lower()]
    environment = {"PATH": os.environ["PATH"], "HOME": str(agent.folder)}
    # -I -S: no environment, no installed packages, no checkout.
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", str(file), "--config", str(agent.config), "run", "--quiet"],
        env=environment,
        cwd=agent.folder,
    )
    agent.process = process
    report = portal.report_of(portal.want(spec("echo hello", analyses=["double"])))
    assert report["outcome"]["verdict"] == "valid"
    software = json.dumps(portal.requests[-1]["capacity"]["software"])
    assert all(f'"{name}"' in software for name in ("probe", "pyscf", "siesta"))


def test_a_scheduler_and_its_options_are_configured_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "agent.ini"
    line = ["configure", "--url", "https://portal.lab", "--key", "lpk_a_b", "--work", str(tmp_path)]
    slurm = ["--scheduler", "slurm", "--set", "partition=long", "--set", "extra=--constraint=ib"]
    assert main(["--config", str(path), *line, *slurm]) == 0
    settings = load(path)
    assert settings.scheduler == "slurm"
    assert settings.scheduler_options == {"partition": "long", "extra": "--constraint=ib"}
    assert main(["--config", str(path), *line]) == 0  # said nothing of it: it stays
    assert load(path).scheduler_options["partition"] == "long"
    assert main(["--config", str(path), *line, "--set", "max_jobs=none"]) == 2


def test_options_that_are_not_usable_leave_the_settings_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "agent.ini"
    line = ["configure", "--url", "https://portal.lab", "--key", "lpk_a_b", "--work", str(tmp_path)]
    line = ["--config", str(path), *line, "--scheduler", "pbs"]
    assert main([*line, "--set", "queues=workq"]) == 2
    assert not path.exists()
    assert main([*line, "--set", "queue=workq"]) == 0
    assert checks.dialect_of(load(path)).options.partition == "workq"  # type: ignore[union-attr]
    before = path.read_text()
    assert main([*line, "--set", "queue=workq", "--set", "partition=other"]) == 2
    assert path.read_text() == before


@pytest.mark.parametrize(
    ("kind", "option"), [("slurm", "partition"), ("pbs", "queue"), ("torque", "queue")]
)
def test_check_says_whether_the_scheduler_has_the_partition(
    tmp_path: Path, kind: str, option: str
) -> None:
    site = Site(tmp_path / "site", kind)
    path, scheduler = tmp_path / "agent.ini", "slurm" if kind == "slurm" else "pbs"

    def said(name: str) -> list[checks.Line]:
        text = f"[portal]\nurl = https://portal.lab\nkey = {KEY}\n[agent]\nwork = {tmp_path}\n"
        text += f"scheduler = {scheduler}\n[scheduler]\n{option} = {name}\npath = {site.programs}\n"
        path.write_text(text)
        return checks.scheduler(load(path))

    assert [good for good, _ in said("long")] == [True, True]
    version, (good, words) = said("nowhere")
    assert version[0] and not good
    assert words == "partition: nowhere takes no jobs here; there are debug, long"
    site.fault("refuse", programs=["sinfo", "qstat"], times=9)
    assert len(said("nowhere")) == 1  # it does not tell which there are


def test_a_version_told_with_another_exit_code_is_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "agent.ini"
    text = f"[portal]\nurl = https://portal.lab\nkey = {KEY}\n[agent]\nwork = {tmp_path}\n"
    path.write_text(f"{text}scheduler = pbs\n")
    told = Answer(153, "", "Unknown option: version\nUsage:\n    qstat [-f] [-a|-i|-r]\n")
    monkeypatch.setattr(checks, "call", lambda *_, **__: told)
    assert checks.scheduler(load(path)) == [(True, "scheduler: pbs Slurm's wrappers for PBS")]
    monkeypatch.setattr(checks, "call", lambda *_, **__: Answer(127, "", "qstat: not found"))
    assert [good for good, _ in checks.scheduler(load(path))] == [False]
