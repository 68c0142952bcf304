"""What becomes of a run: executed, judged, analysed, reported once, closed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from clusters.agent.protocol import Verb
from tests.clusters.agent.conftest import AgentProcess, assert_still, wait_for
from tests.clusters.agent.fake_portal import FakePortal

Describe = Callable[..., dict[str, Any]]


def test_a_run_is_executed_analysed_in_order_and_reported_once(
    agent: AgentProcess, portal: FakePortal, spec: Describe
) -> None:
    agent.start()
    key = portal.want(
        spec("echo one; echo two; echo data >kept.dat", analyses=["quadruple", "double"])
    )
    report = portal.report_of(key)
    assert report["state"] == "finished"
    assert report["outcome"]["verdict"] == "valid"
    assert report["exit"] == {"code": 0, "signal": None, "timed_out": False}
    assert report["results"]["quantities"][0]["value"] == 2
    assert [analysis["name"] for analysis in report["analyses"]] == ["double", "quadruple"]
    assert report["analyses"][1]["results"]["quantities"][0]["value"] == 8
    canonical = json.dumps(report["results"], sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    assert {analysis["input_sha256"] for analysis in report["analyses"]} == {digest}
    assert portal.uploads == {(*key, "kept.dat"): b"data\n"}
    assert report["files"] == [
        {"name": "kept.dat", "size": 5, "sha256": hashlib.sha256(b"data\n").hexdigest()}
    ]
    assert report["started_at"] <= report["finished_at"]
    portal.until(lambda: key in portal.closed)
    portal.until(lambda: not portal.requests[-1]["runs"])
    assert len(portal.reports) == 1
    assert portal.texts() == ["one", "two"]


def test_a_failed_program_keeps_its_exit_code_and_what_could_be_read(
    agent: AgentProcess, portal: FakePortal, spec: Describe
) -> None:
    agent.start()
    report = portal.report_of(portal.want(spec("echo half; exit 3", analyses=["double"])))
    assert report["outcome"]["verdict"] == "failed"
    assert report["exit"]["code"] == 3
    assert report["results"]["quantities"][0]["value"] == 1
    assert report["analyses"] == []


def test_a_program_killed_by_a_signal_is_told_apart(
    agent: AgentProcess, portal: FakePortal, spec: Describe
) -> None:
    agent.start()
    report = portal.report_of(portal.want(spec("kill -SEGV $$")))
    assert report["exit"] == {"code": 139, "signal": 11, "timed_out": False}


@pytest.mark.parametrize("script", ["raise", "echo judge-raises"])
def test_what_a_plug_in_raises_fails_the_run_and_not_the_agent(
    agent: AgentProcess, portal: FakePortal, spec: Describe, script: str
) -> None:
    agent.start()
    report = portal.report_of(portal.want(spec(script)))
    assert report["outcome"]["code"] == "plugin_error"
    assert "is broken" in agent.log()
    assert "Traceback" not in json.dumps(report)
    assert portal.report_of(portal.want(spec("true")))["outcome"]["verdict"] == "valid"


def test_an_analysis_that_breaks_says_so_and_stops_no_other(
    agent: AgentProcess, portal: FakePortal, spec: Describe
) -> None:
    agent.start()
    report = portal.report_of(portal.want(spec("echo x", analyses=["breaks", "double"])))
    assert report["outcome"]["verdict"] == "valid"
    broken, double = report["analyses"]
    assert (broken["name"], broken["status"]) == ("breaks", "failed")
    assert broken["problem"].startswith("the plug-in failed: ")
    assert (double["name"], double["status"], double["problem"]) == ("double", "computed", "")
    portal.until(lambda: any("breaks failed" in e.get("text", "") for e in portal.events.values()))


def test_a_chained_run_takes_files_from_the_run_before(
    agent: AgentProcess, portal: FakePortal, spec: Describe
) -> None:
    agent.start()
    first = portal.want(spec("echo density >state.dm; ln -s /etc/passwd state.link"))
    portal.report_of(first)
    carry = {"run": first[0], "patterns": ["state*"]}
    report = portal.report_of(portal.want(spec("cat state.dm carried.txt", carry=carry)))
    assert report["outcome"]["verdict"] == "valid"
    folder = agent.folder_of(report["run"])
    assert (folder / "state.dm").read_text() == "density\n"
    assert (folder / "carried.txt").read_text() == "state.dm"
    assert not (folder / "state.link").exists()


def test_a_chained_run_takes_files_from_a_folder_but_follows_no_link(
    agent: AgentProcess, portal: FakePortal, spec: Describe
) -> None:
    agent.start()
    made = "mkdir -p x.save/deep; echo rho >x.save/rho.dat; ln -s rho.dat x.save/link.dat; "
    first = portal.want(spec(made + "echo no >x.save/deep/a.dat; ln -s /etc y.save"))
    portal.report_of(first)
    carry = {"run": first[0], "patterns": ["*.save/*.dat"]}
    report = portal.report_of(portal.want(spec("cat x.save/rho.dat", carry=carry)))
    assert report["outcome"]["verdict"] == "valid"
    folder = agent.folder_of(report["run"])
    assert (folder / "x.save" / "rho.dat").read_text() == "rho\n"
    assert (folder / "carried.txt").read_text() == "x.save/rho.dat"
    assert not (folder / "y.save").exists()


@pytest.mark.parametrize("pattern", ["*.save/passwd", "../*", "*/../*", "rho.dat"])
def test_a_carried_file_that_does_not_exist_is_named(
    agent: AgentProcess, portal: FakePortal, spec: Describe, pattern: str
) -> None:
    agent.start()
    first = portal.want(spec("touch state.dm; mkdir x.save; ln -s /etc y.save"))
    portal.report_of(first)
    carry = {"run": first[0], "patterns": ["state*", pattern]}
    report = portal.report_of(portal.want(spec("true", carry=carry)))
    assert report["outcome"]["code"] == "carried_file_missing"
    assert f"left no file {pattern}" in report["outcome"]["message"]
    assert "side by side" in report["outcome"]["remedy"]


def test_of_a_plug_ins_own_files_some_may_be_absent(
    agent: AgentProcess, portal: FakePortal, spec: Describe
) -> None:
    agent.start()
    first = portal.want(spec("touch other.dat"))
    portal.report_of(first)
    carry = {"run": first[0], "patterns": ["state*", "other.dat"]}
    report = portal.report_of(portal.want(spec("true", carry=carry)))
    assert report["outcome"]["verdict"] == "valid"
    carry = {"run": first[0], "patterns": ["state*"]}
    report = portal.report_of(portal.want(spec("true", carry=carry)))
    assert "left no file state*" in report["outcome"]["message"]


def test_a_run_whose_predecessor_is_not_here_is_lost(
    agent: AgentProcess, portal: FakePortal, spec: Describe
) -> None:
    agent.start()
    carry = {"run": "0b5c3f1e-elsewhere", "patterns": ["*"]}
    report = portal.report_of(portal.want(spec("true", carry=carry)))
    assert report["state"] == "lost"
    assert "never executed on this machine" in report["why"]


def _staged(content: bytes, **changes: Any) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    return {"name": "H.psf", "size": len(content), "sha256": digest, **changes}


def test_a_staged_file_is_fetched_before_the_start(
    agent: AgentProcess, portal: FakePortal, spec: Describe
) -> None:
    portal.files["H.psf"] = b"pseudo" * 1000
    agent.start()
    report = portal.report_of(
        portal.want(spec("cat H.psf", files=[_staged(portal.files["H.psf"])]))
    )
    assert report["outcome"]["verdict"] == "valid"
    assert (agent.folder_of(report["run"]) / "H.psf").read_bytes() == portal.files["H.psf"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sha256": "0" * 64}, "another SHA-256"),
        ({"size": 3}, "more than 3"),
        ({"size": 9}, "has 6 bytes"),
        ({"name": "absent.psf"}, "could not be fetched"),
    ],
)
def test_a_staged_file_that_is_not_as_announced_is_refused(
    agent: AgentProcess, portal: FakePortal, spec: Describe, changes: dict[str, Any], words: str
) -> None:
    portal.files["H.psf"] = b"pseudo"
    agent.start()
    report = portal.report_of(
        portal.want(spec("echo run >>ran", files=[_staged(b"pseudo", **changes)]))
    )
    assert report["state"] == "lost"
    assert words in report["why"]
    assert not (agent.folder_of(report["run"]) / "ran").exists()


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "a/../../evil", "..", "-n/../x", ".ssh"])  # noqa: S108
def test_a_file_name_that_leads_out_is_refused(
    agent: AgentProcess, portal: FakePortal, spec: Describe, name: str
) -> None:
    agent.start()
    report = portal.report_of(portal.want(spec("true", parameters={"extra": name})))
    assert report["outcome"]["code"] == "unsafe_name"
    assert not list(agent.folder.rglob("evil"))
    staged = portal.report_of(portal.want(spec("true", files=[_staged(b"x", name=name)])))
    assert staged["outcome"]["code"] == "unsafe_name"


def test_no_secret_reaches_a_program_and_threads_follow_the_cores(
    agent: AgentProcess, portal: FakePortal, spec: Describe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_API_KEY", "hidden-1")
    monkeypatch.setenv("OTHER", "has lpk_test_secret inside")
    agent.start()
    report = portal.report_of(portal.want(spec("env >kept.dat", resources={"cores": 3})))
    text = portal.uploads[report["run"], 1, "kept.dat"].decode()
    assert "OMP_NUM_THREADS=3" in text
    assert "PROBE_NEEDS=this" in text
    assert "lpk_test_secret" not in text
    assert "hidden-1" not in text
    assert "LABPORTAL_" not in text


def test_a_run_is_cancelled_while_it_runs(
    agent: AgentProcess, portal: FakePortal, spec: Describe
) -> None:
    agent.start()
    key = portal.want(spec("echo begun >mark; sleep 60"))
    wait_for(agent.folder_of(key[0]) / "mark")
    portal.tell(key, Verb.CANCEL, why="asked by Ada L.")
    report = portal.report_of(key)
    assert (report["state"], report["why"]) == ("cancelled", "asked by Ada L.")


def test_a_program_that_ignores_the_signal_is_killed_after_the_grace(
    agent: AgentProcess, portal: FakePortal, spec: Describe
) -> None:
    agent.start()
    key = portal.want(spec("trap '' TERM; echo begun >mark; while :; do sleep 0.05; done"))
    wait_for(agent.folder_of(key[0]) / "mark")
    portal.tell(key, Verb.CANCEL, why="enough")
    assert portal.report_of(key)["state"] == "cancelled"


def test_a_run_that_waits_for_a_slot_is_cancelled_without_a_start(
    agent: AgentProcess, portal: FakePortal, spec: Describe
) -> None:
    agent.start()
    running = [portal.want(spec("sleep 60")) for _ in range(2)]
    portal.until(lambda: all(portal.states.get(key) == "running" for key in running))
    waiting = portal.want(spec("echo ran >ran"))
    portal.until(lambda: portal.states.get(waiting) == "preparing")
    assert portal.requests[-1]["capacity"]["slots"] == {"total": 2, "free": 0}
    portal.tell(waiting, Verb.CANCEL, why="not now")
    assert portal.report_of(waiting)["state"] == "cancelled"
    assert not agent.folder_of(waiting[0]).exists()
    for key in running:
        portal.tell(key, Verb.CANCEL, why="end")
        portal.report_of(key)


def test_slots_bound_what_runs_at_once_in_the_order_received(
    agent: AgentProcess, portal: FakePortal, spec: Describe
) -> None:
    agent.start()
    log = agent.folder / "order"
    script = f"echo $(basename $(dirname $PWD)) + >>{log}; sleep 0.1; echo x - >>{log}"
    keys = [portal.want(spec(script)) for _ in range(5)]
    for key in keys:
        portal.report_of(key)
    running = most = 0
    for line in log.read_text().splitlines():
        running += 1 if line.endswith("+") else -1
        most = max(most, running)
    assert most == 2
    started = [line.split()[0] for line in log.read_text().splitlines() if line.endswith("+")]
    assert {started[0], started[1]} == {keys[0][0], keys[1][0]}


def test_walltime_ends_a_program(agent: AgentProcess, portal: FakePortal, spec: Describe) -> None:
    agent.start()
    key = portal.want(spec("echo half; sleep 60", resources={"walltime_s": 1}))
    report = portal.report_of(key)
    assert report["exit"]["timed_out"] is True
    assert report["outcome"]["code"] == "walltime"
    assert 0.9 < report["usage"]["elapsed_s"] < 5
    assert report["results"]["quantities"][0]["value"] == 1


def test_a_program_that_takes_far_more_memory_than_asked_is_ended(
    agent: AgentProcess, portal: FakePortal, spec: Describe
) -> None:
    agent.start()
    hog = "python3 -c 'x = bytearray(120 * 2**20); import time; time.sleep(60)'"
    report = portal.report_of(portal.want(spec(hog, resources={"memory_mib": 32})))
    assert report["outcome"]["code"] == "out_of_memory"
    assert "32 MiB asked for" in report["outcome"]["evidence"][0]
    assert report["usage"]["max_rss_mib"] > 100


def test_what_a_program_leaves_running_ends_with_it(
    agent: AgentProcess, portal: FakePortal, spec: Describe
) -> None:
    agent.start()
    beat = agent.folder / "beat"
    key = portal.want(spec(f"(while :; do echo x >>{beat}; sleep 0.02; done) & sleep 0.1"))
    portal.report_of(key)
    assert_still(beat)


def test_a_missing_program_fails_the_run(
    agent: AgentProcess, portal: FakePortal, spec: Describe
) -> None:
    agent.start()
    report = portal.report_of(portal.want(spec("exec nosuchprogram")))
    assert report["exit"]["code"] == 127


def test_unknown_software_is_the_agents_fault(
    agent: AgentProcess, portal: FakePortal, spec: Describe
) -> None:
    agent.start()
    report = portal.report_of(portal.want(spec("true", software="nosuch")))
    assert report["state"] == "lost"
    assert "'nosuch' is unknown" in report["why"]


def test_progress_and_lines_arrive_while_the_program_runs(
    agent: AgentProcess, portal: FakePortal, spec: Describe
) -> None:
    agent.start()
    key = portal.want(spec("echo step 1; echo step 2; sleep 30"))
    portal.until(lambda: [e for e in portal.events.values() if e.get("text") == "step 2"])
    portal.until(
        lambda: any(
            (entry["progress"] or {}).get("done") == 2
            for request in portal.requests
            for entry in request["runs"]
        )
    )
    portal.tell(key, Verb.CANCEL, why="seen")
    portal.report_of(key)


def test_purge_deletes_but_what_is_to_be_kept_and_is_reported(
    agent: AgentProcess, portal: FakePortal, spec: Describe
) -> None:
    agent.start()
    key = portal.want(spec("head -c 200000 /dev/zero >big; echo x >a.XV; mkdir d; echo y >d/f"))
    portal.until(lambda: key in portal.closed)
    folder = agent.folder_of(key[0])
    outside = agent.folder / "outside"
    outside.write_text("stays")
    (folder / "link").symlink_to(outside)
    portal.want_purged(key[0], ["*.XV"])
    freed = portal.until(lambda: portal.purged.get(key[0]))
    assert freed >= 200_000
    assert [path.name for path in folder.rglob("*")] == ["a.XV"]
    assert outside.read_text() == "stays"
    portal.until(lambda: not portal.requests[-1]["purged"])
