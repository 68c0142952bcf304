"""What a container uses, as the kernel's files tell; and which runtimes the settings name."""

from __future__ import annotations

from pathlib import Path

import pytest

from clusters.agent import config
from clusters.agent.runtimes import cgroup
from clusters.agent.runtimes.choice import owner_of, runtimes_for

CONTAINER = "a06aa3ce8023fb82e23185e4251ffb856743a6004afa65472ea142576b825556"


def lay(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def used(tmp_path: Path) -> tuple[float | None, float | None]:
    return cgroup.usage(7, CONTAINER, proc=tmp_path / "proc", root=tmp_path / "sys")


def test_groups_of_the_second_version_are_read(tmp_path: Path) -> None:
    slice_ = f"machine.slice/libpod-{CONTAINER}.scope"
    lay(
        tmp_path,
        {
            "proc/7/cgroup": f"0::/{slice_}/container/init\n",
            f"sys/{slice_}/cpu.stat": "usage_usec 1500000\nuser_usec 1000000\n",
            f"sys/{slice_}/memory.current": f"{300 * 2**20}\n",
            f"sys/{slice_}/memory.stat": f"anon 1\ninactive_file {100 * 2**20}\n",
        },
    )
    assert used(tmp_path) == (1.5, 200.0)


def test_groups_of_the_first_version_are_read(tmp_path: Path) -> None:
    group = f"libpod_parent/libpod-{CONTAINER}"
    lay(
        tmp_path,
        {
            "proc/7/cgroup": f"4:memory:/{group}\n2:cpu,cpuacct:/{group}\n0::/\n",
            f"sys/cpuacct/{group}/cpuacct.usage": "2500000000\n",
            f"sys/memory/{group}/memory.usage_in_bytes": f"{300 * 2**20}\n",
            f"sys/memory/{group}/memory.stat": f"total_inactive_file {50 * 2**20}\n",
        },
    )
    assert used(tmp_path) == (2.5, 250.0)


@pytest.mark.parametrize("groups", [None, "0::/user.slice\n", f"0::/x-{CONTAINER}\n", "odd"])
def test_what_cannot_be_read_or_is_another_machines_counts_as_unknown(
    tmp_path: Path, groups: str | None
) -> None:
    lay(tmp_path, {} if groups is None else {"proc/7/cgroup": groups})
    assert used(tmp_path) == (None, None)


def test_the_kernels_count_of_killings_is_read(tmp_path: Path) -> None:
    assert cgroup.oom_kills(tmp_path) is None
    lay(tmp_path, {"vmstat": "nr_free_pages 1\noom_kill 17\n"})
    assert cgroup.oom_kills(tmp_path) == 17


def settings(tmp_path: Path, serving: str, agent: str = "") -> config.Config:
    text = f"[portal]\nurl=http://localhost\nkey=k\n[agent]\nwork={tmp_path}\n{agent}\n"
    return config.parse(f"{text}[serving]\n{serving}\n", tmp_path / "agent.ini")


def test_runtimes_are_made_in_the_order_of_the_settings(tmp_path: Path) -> None:
    assert list(runtimes_for(settings(tmp_path, ""))) == ["podman", "docker"]
    assert list(runtimes_for(settings(tmp_path, "runtimes=process docker"))) == [
        "process",
        "docker",
    ]
    assert runtimes_for(settings(tmp_path, "runtimes=none")) == {}


def test_an_agent_without_its_journal_knows_its_containers_and_no_others(tmp_path: Path) -> None:
    one, same = settings(tmp_path, ""), settings(tmp_path, "runtimes=podman")
    assert owner_of(one) == owner_of(same) != owner_of(settings(tmp_path / "other", ""))


def test_memory_is_watched_as_the_settings_say(tmp_path: Path) -> None:
    watched = runtimes_for(settings(tmp_path, "runtimes=process"))["process"].about()
    free = runtimes_for(settings(tmp_path, "runtimes=process", "enforce_memory=no"))["process"]
    assert watched is not None and watched["limits"] == ["memory"]
    assert (free.about() or {})["limits"] == []
