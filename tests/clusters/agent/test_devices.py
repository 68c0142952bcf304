"""GPUs as nvidia-smi tells of them, and runs that each get their own: with a stand-in on PATH."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clusters.agent import devices
from clusters.agent.devices import DeviceBusy, Devices, DevicesSilent, ask_gpus, parse_gpus
from clusters.agent.protocol import Verb
from tests.clusters.agent.conftest import AgentProcess
from tests.clusters.agent.fake_portal import FakePortal

Describe = Callable[..., dict[str, Any]]
FULL = 80_000


class Smi:
    """Stands in for nvidia-smi: what it answers, and how it fails."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        script = folder / "nvidia-smi"
        script.write_text(
            '#!/bin/sh\ncd "${0%/*}"\n[ -f fails ] && cat fails && exit 9\ncat gpus\n'
        )
        script.chmod(0o755)

    def tell(self, *used_mib: int, name: str = "NVIDIA H200") -> None:
        lines = [f"{i}, {name}, 0, {mib}, 143771\n" for i, mib in enumerate(used_mib)]
        new = self.folder / "new"
        new.write_text("".join(lines))
        new.replace(self.folder / "gpus")

    def fail(self, words: str = "") -> None:
        marker = self.folder / "fails"
        marker.write_text(words) if words else marker.unlink()


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Smi:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    smi = Smi(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{smi.folder}:{os.environ['PATH']}")
    return smi


def test_lines_are_read_and_odd_ones_passed_over() -> None:
    text = "0, NVIDIA H200, 3, 10, 143771\nbroken\n1, Tesla, [N/A], [N/A], 16384\n"
    first, second = parse_gpus(text)
    assert (first["index"], first["memory_mib"], first["memory_total_mib"]) == (0, 10, 143771)
    assert second["utilisation_percent"] is None


def test_a_failing_nvidia_smi_is_not_an_absent_one(smi: Smi, monkeypatch: Any) -> None:
    smi.fail("Failed to initialize NVML: Driver/library version mismatch")
    with pytest.raises(DevicesSilent, match="version mismatch"):
        ask_gpus()
    monkeypatch.setenv("PATH", "/nowhere")
    assert ask_gpus() == []


def test_a_gpu_that_others_use_is_not_given_out(smi: Smi) -> None:
    smi.tell(3, FULL)
    found = Devices("auto", busy_mib=400)
    assert not found.known
    found.update(ask_gpus(), ours=())
    assert found.unusable() == {1}
    assert [gpu["busy"] for gpu in found.capacity()] == [False, True]
    assert found.capacity()[1]["free_memory_mib"] == 143771 - FULL
    found.check([0])
    with pytest.raises(DeviceBusy, match=r"GPU 1 is used by another program \(80,000 MiB\)"):
        found.check([1])


def test_what_our_own_run_holds_is_nobody_elses(smi: Smi) -> None:
    smi.tell(FULL, FULL)
    found = Devices("auto", busy_mib=400)
    found.update(ask_gpus(), ours={0})
    assert found.unusable() == {1}
    found.update(ask_gpus(), ours={0, 1})
    found.forget_use([1])
    assert found.unusable() == set()


def test_while_nobody_answers_no_gpu_is_given_and_none_forgotten(smi: Smi) -> None:
    smi.tell(0, 0)
    found = Devices("auto", busy_mib=400)
    found.update(ask_gpus(), ours=())
    found.silent("nvidia-smi fails: no driver")
    assert found.unusable() == {0, 1}
    assert len(found.types) == 2
    found.update(ask_gpus(), ours=())
    assert found.unusable() == set()


@pytest.mark.parametrize(
    ("setting", "own", "indexes"),
    [
        ("auto", "", [0, 1, 2]),
        ("auto", "1,2", [1, 2]),
        ("auto", "GPU-1f6e", [0, 1, 2]),
        ("0,2", "1", [0, 2]),
        ("none", "", []),
    ],
)
def test_settings_and_the_agents_own_view_choose_among_them(
    smi: Smi, setting: str, own: str, indexes: list[int]
) -> None:
    smi.tell(0, 0, 0)
    found = Devices(setting, busy_mib=400, environment={"CUDA_VISIBLE_DEVICES": own})
    found.update(ask_gpus(), ours=())
    assert list(found.types) == indexes


def test_a_program_is_told_its_own_gpus_alone(smi: Smi, monkeypatch: Any) -> None:
    smi.tell(0, 0)
    found = Devices("auto", busy_mib=400)
    assert found.environment([]) == {}
    found.update(ask_gpus(), ours=())
    seen = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    assert found.environment([1]) == {"CUDA_VISIBLE_DEVICES": "1", **seen}
    assert found.environment([]) == {"CUDA_VISIBLE_DEVICES": "-1", **seen}
    monkeypatch.setenv("PATH", "/nowhere")
    others = Devices("4,5,6", busy_mib=400)
    assert others.known
    assert others.environment([4, 6]) == {
        "ROCR_VISIBLE_DEVICES": "4,6",
        "HIP_VISIBLE_DEVICES": "0,1",
        "CUDA_VISIBLE_DEVICES": "0,1",
    }


def test_a_setting_that_is_no_list_of_indexes_is_refused() -> None:
    assert devices.check_setting("0,1") == "0,1"
    with pytest.raises(ValueError, match="gpus 'all'"):
        devices.check_setting("all")


# By an agent

SEEN = "echo $CUDA_VISIBLE_DEVICES $CUDA_DEVICE_ORDER >kept.dat"


def seen(portal: FakePortal, key: tuple[str, int]) -> str:
    portal.report_of(key)
    return portal.uploads[(*key, "kept.dat")].decode().split()[0]


def holding(portal: FakePortal, key: tuple[str, int]) -> bool:
    return portal.states.get(key) == "running"


def pending(portal: FakePortal, key: tuple[str, int]) -> str:
    for entry in portal.requests[-1]["runs"]:
        if (entry["run"], entry["attempt"]) == key and entry.get("pending"):
            return entry["pending"]["text"]
    return ""


def test_runs_at_once_get_a_gpu_each_and_the_next_waits_with_the_reason(
    agent: AgentProcess, portal: FakePortal, spec: Describe, smi: Smi
) -> None:
    smi.tell(0, 0)
    agent.settings(portal.url, "slots = 4")
    agent.config.write_text(agent.config.read_text().replace("slots = 2\n", ""))
    agent.start()
    portal.until(lambda: portal.requests and portal.requests[-1]["capacity"]["gpus"])
    wait = f"{SEEN}; until [ -e ../../../end ]; do sleep 0.02; done"
    first, second = (portal.want(spec(wait, resources={"gpus": 1})) for _ in range(2))
    portal.until(lambda: holding(portal, first) and holding(portal, second))
    third = portal.want(spec(SEEN, resources={"gpus": 1}))
    portal.until(lambda: pending(portal, third) == "1 GPU asked for, 0 free")
    none = portal.want(spec(SEEN))
    assert seen(portal, none) == "-1"
    capacity = portal.until(lambda: portal.requests[-1]["capacity"])
    assert capacity["free"]["gpus"] == 0
    assert capacity["free"]["cores"] == 6
    (agent.work / "end").touch()
    assert {seen(portal, first), seen(portal, second)} == {"0", "1"}
    assert seen(portal, third) in {"0", "1"}


def test_after_a_restart_gpus_are_still_those_of_the_runs_that_go_on(
    agent: AgentProcess, portal: FakePortal, spec: Describe, smi: Smi
) -> None:
    smi.tell(0, 0)
    agent.start()
    wait = f"{SEEN}; until [ -e ../../../end ]; do sleep 0.02; done"
    first = portal.want(spec(wait, resources={"gpus": 1}))
    portal.until(lambda: holding(portal, first))
    agent.kill()
    smi.tell(FULL, 0)  # what the run itself takes
    agent.start()
    second = portal.want(spec(SEEN, resources={"gpus": 1}))
    assert seen(portal, second) == "1"
    (agent.work / "end").touch()
    assert seen(portal, first) == "0"


def test_a_gpu_that_somebody_took_meanwhile_is_seen_before_the_start(
    agent: AgentProcess, portal: FakePortal, spec: Describe, smi: Smi
) -> None:
    smi.tell(0)
    agent.start()
    portal.until(lambda: portal.requests and portal.requests[-1]["capacity"]["gpus"])
    smi.tell(FULL)
    key = portal.want(spec(SEEN, resources={"gpus": 1}))
    portal.until(lambda: "used by another program (80,000 MiB)" in pending(portal, key))
    smi.tell(0)
    assert seen(portal, key) == "0"


def test_a_run_beyond_the_machine_is_refused_with_words(
    agent: AgentProcess, portal: FakePortal, spec: Describe, smi: Smi
) -> None:
    smi.tell(0)
    agent.start()
    portal.until(lambda: portal.requests and portal.requests[-1]["capacity"]["gpus"])
    outcome = portal.report_of(portal.want(spec(resources={"gpus": 2})))["outcome"]
    assert (outcome["verdict"], outcome["code"]) == ("failed", "submission_refused")
    assert "asks for 2 GPUs, and this machine has 1 GPU" in outcome["message"]
    assert outcome["remedy"] == "Ask for at most 1, or choose another cluster."
    cores = portal.report_of(portal.want(spec(resources={"cores": 9})))["outcome"]
    assert "asks for 9 cores, and this machine has 8 cores" in cores["message"]


def test_cores_bound_what_runs_at_once_though_slots_are_free(
    agent: AgentProcess, portal: FakePortal, spec: Describe
) -> None:
    agent.start()
    wait = "until [ -e ../../../end ]; do sleep 0.02; done"
    wide = portal.want(spec(wait, resources={"cores": 6}))
    portal.until(lambda: holding(portal, wide))
    waiting = portal.want(spec("true", resources={"cores": 4}))
    portal.until(lambda: pending(portal, waiting) == "4 cores asked for, 2 free")
    portal.tell(waiting, Verb.CANCEL, why="not needed")
    portal.report_of(waiting)
    (agent.work / "end").touch()
    portal.report_of(wide)


@pytest.mark.gpu
def test_a_real_gpu_is_found_and_given() -> None:
    found = Devices("auto", busy_mib=400)
    found.update(ask_gpus(), ours=())
    assert found.capacity()[0]["memory_mib"] > 1000
    index = min(found.types)
    query = [shutil.which("nvidia-smi") or "", "--query-gpu=index", "--format=csv,noheader"]
    listed = subprocess.run(query, capture_output=True, text=True, check=True).stdout.split()
    assert [str(i) for i in found.types] == listed
    assert found.environment([index])["CUDA_VISIBLE_DEVICES"] == str(index)
