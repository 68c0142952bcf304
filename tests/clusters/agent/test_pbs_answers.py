"""What PBS Pro, OpenPBS, Torque and Slurm's wrappers have answered is read, the broken ones too."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusters.agent.commands import Answer
from clusters.agent.schedulers import pbs_jobs, pbs_text
from clusters.agent.schedulers.base import Ending, Status
from clusters.agent.schedulers.pbs import Pbs
from clusters.agent.schedulers.pbs_site import PRO, TORQUE, WRAPPERS

RECORDED = Path(__file__).resolve().parents[2] / "data" / "pbs"
PBS = Pbs()


def said(name: str, code: int = 0, err: str = "") -> Answer:
    return Answer(code, (RECORDED / name).read_text(), err)


def local(*moment: int) -> float:
    return time.mktime((*moment, 0, 0, -1))


def test_a_running_job_of_pbs_pro_13() -> None:
    answer = PBS.parse_poll(said("pbspro-13-running.txt"))
    assert answer is not None
    (job,) = answer.values()
    assert list(answer) == ["4711"]
    assert job.status is Status.ALIVE
    assert job.name == "lab-6b1d3a52-0f0e-4c3a-9d0e-5a6f7e8d9c0b-1"
    assert job.nodes == "node017"
    assert job.started_at == local(2024, 3, 4, 9, 16, 10)
    assert job.partition == "workq"


def test_folded_values_are_one() -> None:
    attributes = pbs_text.jobs((RECORDED / "pbspro-13-running.txt").read_text())["4711"]
    assert attributes["Output_Path"] == (
        "login1.cluster.example:/home/ada/work/scheduler/"
        "lab-6b1d3a52-0f0e-4c3a-9d0e-5a6f7e8d9c0b-1.out"
    )


def test_why_jobs_wait_at_pbs_pro_19() -> None:
    answer = PBS.parse_poll(said("pbspro-19-queue.txt"))
    assert answer is not None
    waiting, never, held, strange = (answer[id] for id in ("80131", "80132", "80133", "80134"))
    assert waiting.status is Status.PENDING
    assert waiting.reason.endswith("ncpus (R: 64 A: 12 T: 128)")
    assert waiting.text == "too few cores are free"
    assert waiting.expected_start == local(2026, 11, 17, 11, 30, 0)
    assert not waiting.refused
    assert "Can Never Run: Insufficient amount of resource: ngpus" in never.refused
    assert held.text == "it is held: the cluster could not start it"
    assert held.reason == "Hold_Types = s"
    assert strange.status is Status.UNKNOWN
    assert strange.state == "Z"


@pytest.mark.parametrize(
    ("id", "code", "ending"),
    [
        ("80101", 0, Ending.NORMAL),
        ("80102", None, Ending.TIMEOUT),
        ("80103", 143, Ending.CANCELLED),
        ("80104", None, Ending.OUT_OF_MEMORY),
        ("80105", None, Ending.CANCELLED),
        ("80106", None, Ending.NODE_FAIL),
        ("80107", 139, Ending.NORMAL),
        ("80108", 143, Ending.TIMEOUT),
    ],
)
def test_how_jobs_ended_by_the_history_of_pbs_pro_19(
    id: str, code: int | None, ending: Ending
) -> None:
    books = PBS.parse_accounting(said("pbspro-19-history.txt"))
    assert books is not None
    assert books[id].ended
    assert (books[id].exit_code, books[id].ending) == (code, ending)
    assert books[id].evidence[0].startswith(f"qstat of job {id}: job_state = F")


def test_what_a_job_used_by_history() -> None:
    books = PBS.parse_accounting(said("pbspro-19-history.txt"))
    assert books is not None
    job = books["80101"]
    assert (job.elapsed_s, job.cpu_s, job.max_rss_mib) == (605, 602, 200)
    assert job.finished_at == local(2026, 11, 17, 9, 10, 6)
    assert books["80102"].nodes == "node1,node2"
    assert books["80104"].max_rss_mib == 4096


@pytest.mark.parametrize("id", ["12", "13"])
def test_variables_with_newlines_commas_and_signs_do_no_harm(id: str) -> None:
    answer = PBS.parse_poll(said("openpbs-22-variables.txt"))
    assert answer is not None
    assert answer[id].name == {"12": "lab-x-1", "13": "lab-y-1"}[id]
    attributes = pbs_text.jobs((RECORDED / "openpbs-22-variables.txt").read_text())["12"]
    assert pbs_text.variables(attributes["Variable_List"])["GREETING"] == "hello, world = all"
    assert attributes["comment"].startswith("Job run at")


def test_an_array_of_openpbs_23_and_its_jobs() -> None:
    answer = PBS.parse_poll(said("openpbs-23-array.txt"))
    assert answer is not None
    states = {id: job.status for id, job in answer.items()}
    assert states == {
        "200[]": Status.ALIVE,
        "200[0]": Status.ENDED,
        "200[1]": Status.ALIVE,
        "200[2]": Status.PENDING,
    }
    assert PBS.task_id("200[]", 2) == "200[2]"


def test_ended_jobs_of_torque_4() -> None:
    torque = PBS.adapted("Torque 4.2.10")
    assert torque.accounting_arguments(["91"]) == ["qstat", "-f", "91"]
    books = torque.parse_accounting(said("torque-4-jobs.txt"))
    assert books is not None
    assert (books["91"].exit_code, books["91"].ending) == (3, Ending.NORMAL)
    assert books["91"].nodes == "n01,n02"
    assert books["91"].started_at == local(2013, 6, 12, 14, 0, 4)
    assert books["92"].ending is Ending.TIMEOUT, "it used all of its walltime"


def test_a_job_of_an_array_of_torque_6() -> None:
    answer = PBS.parse_poll(said("torque-6-array.txt"))
    assert answer is not None
    assert answer["92[1]"].started_at == 1466000000
    assert answer["92[1]"].name == "lab-array-v"


def test_slurm_s_wrappers_indent_by_tabs() -> None:
    answer = PBS.parse_poll(said("slurm-wrappers-22.txt"))
    assert answer is not None
    assert (answer["17"].status, answer["17"].nodes) == (Status.ALIVE, "node1")


@pytest.mark.parametrize(
    ("text", "err", "code"),
    [
        ((RECORDED / "openpbs-20-broken.json").read_text(), "", 0),
        ("", "", 0),
        ("", "qstat: cannot connect to server pbs01 (errno=111)", 1),
        ("", "qstat: End of File", 1),
        ("\x80\x00 garbage \x1f\n", "", 0),
        ("Job id            Name\n----\n", "", 0),
        ("", "qstat: Unbekannte Job-Nummer 12.pbs", 153),
        ("Error: license expired\n", "", 1),
    ],
)
def test_what_cannot_be_read_is_no_answer(text: str, err: str, code: int) -> None:
    assert PBS.parse_poll(Answer(code, text, err)) is None
    assert PBS.parse_accounting(Answer(code, text, err)) is None


def test_an_answer_that_is_not_whole_is_no_answer() -> None:
    text = (RECORDED / "pbspro-13-running.txt").read_text()
    assert PBS.parse_poll(Answer(0, text, problem="qstat said more than 8 bytes")) is None
    assert PBS.parse_poll(Answer(None, text, problem="no answer within 30 s")) is None


def test_text_of_other_programs_around_the_answer_does_no_harm() -> None:
    whole = said("pbspro-13-running.txt")
    text = f"Welcome to the cluster!\n\n{whole.out}Your quota = 80 % used\n"
    assert list(PBS.parse_poll(Answer(0, text)) or {}) == ["4711"]
    mixed = Answer(0, f"{(RECORDED / 'openpbs-20-broken.json').read_text()}{whole.out}")
    assert list(PBS.parse_poll(mixed) or {}) == ["4711"]


@pytest.mark.parametrize(
    ("err", "code", "states"),
    [
        ("qstat: Unknown Job Id 4711.pbs01", 153, {}),
        ("qstat: Unknown Job Id Error 4711.torque", 153, {}),
        (
            "qstat: 4711.pbs01 Job has finished, use -x or -H to obtain historical job information",
            35,
            {"4711": Status.ENDED},
        ),
        ("qstat: Job has finished 4711[3].pbs01", 35, {"4711[3]": Status.ENDED}),
    ],
)
def test_an_id_that_is_gone_is_told_on_the_error_stream(
    err: str, code: int, states: dict[str, Status]
) -> None:
    answer = PBS.parse_poll(Answer(code, "", f"{err}\n"))
    assert answer is not None
    assert {id: job.status for id, job in answer.items()} == states


def test_of_several_ids_the_known_ones_are_read() -> None:
    err = "qstat: Unknown Job Id 1.pbs01\nqstat: Unknown Job Id 2.pbs01\n"
    answer = PBS.parse_poll(said("pbspro-13-running.txt", 153, err))
    assert answer is not None and list(answer) == ["4711"]


def test_a_server_without_history_is_asked_for_its_queue() -> None:
    err = "qstat: PBS is not configured to maintain job history\n"
    assert PBS.parse_accounting(Answer(1, "", err)) is None
    assert PBS.spare_accounting_arguments(["1"]) == ["qstat", "-f", "1"]
    assert PBS.parse_spare_accounting(Answer(153, "", "qstat: Unknown Job Id 1.pbs01\n")) == {}


@pytest.mark.parametrize(
    ("name", "found"),
    [
        (
            "openpbs-23-wide.txt",
            {"lab-1f0c9a77b2d": ["4711"], "lab-0123456789a": ["4712[]"], "STDIN": ["4713"]},
        ),
        ("torque-6-user.txt", {"lab-1f0c9a77b2d": ["91"], "lab-0123456789a": ["92[]"]}),
        ("slurm-wrappers-22-user.txt", {"lab-1f0c9a77b2d": ["17"]}),
    ],
)
def test_jobs_are_found_by_name(name: str, found: dict[str, list[str]]) -> None:
    assert PBS.parse_lookup(said(name)) == found


def test_no_job_of_a_user_is_an_answer_and_a_cut_one_is_none() -> None:
    assert PBS.parse_lookup(Answer(0, "")) == {}
    assert PBS.parse_lookup(Answer(0, said("openpbs-23-wide.txt").out[:-20])) is None
    assert PBS.parse_lookup(Answer(1, "", "qstat: cannot connect")) is None
    assert PBS.parse_lookup(Answer(0, "usage: qstat\n")) is None


def test_what_a_site_allows_by_queues_and_nodes() -> None:
    limits = PBS.parse_limits(
        [
            said("openpbs-23-queues.txt"),
            said("openpbs-23-nodes.txt"),
            said("openpbs-23-server.txt"),
        ]
    )
    assert limits is not None
    queues = {queue["name"]: queue for queue in limits["partitions"]}
    assert list(queues) == ["workq", "gpuq", "route"], "one that takes no jobs is left out"
    assert queues["workq"] == {
        "name": "workq",
        "max_walltime_s": 72 * 3600,
        "max_nodes": 2,
        "cores_per_node": 64,
        "memory_per_node_mib": 258048,
        "gpus_per_node": 0,
        "default": True,
    }
    gpus = queues["gpuq"]
    assert (gpus["gpus_per_node"], gpus["max_nodes"], gpus["default"]) == (4, 1, False)
    assert queues["route"]["max_walltime_s"] == 168 * 3600, "the server's own limit"


def test_how_busy_a_site_is() -> None:
    assert PBS.parse_occupancy([said("openpbs-23-nodes.txt"), said("openpbs-23-server.txt")]) == {
        "nodes": {"idle": 1, "allocated": 1, "mixed": 1, "down": 1},
        "cores": {"idle": 92, "allocated": 68, "total": 160},
        "jobs": {"running": 2, "pending": 2},
    }
    busy = PBS.parse_occupancy([said("torque-6-nodes.txt"), Answer(1, "", "no")])
    assert busy is not None
    assert busy["cores"] == {"idle": 3, "allocated": 5, "total": 8}
    assert busy["nodes"] == {"idle": 0, "allocated": 0, "mixed": 1, "down": 1}


def test_a_site_that_does_not_answer_tells_no_limits() -> None:
    silent = Answer(1, "", "qstat: cannot connect to server")
    assert PBS.parse_limits([silent, silent, silent]) is None
    assert PBS.parse_occupancy([silent, silent]) is None


@pytest.mark.parametrize(
    ("answer", "version", "flavour"),
    [
        (Answer(0, "pbs_version = 19.1.3\n"), "PBS 19.1.3", PRO),
        (Answer(0, "pbs_version = 13.1.0.160576\n"), "PBS 13.1.0.160576", PRO),
        (Answer(0, "", "Version: 6.1.3\nCommit: 62b8e0f\n"), "Torque 6.1.3", TORQUE),
        (Answer(0, "version: 4.2.10\n"), "Torque 4.2.10", TORQUE),
        (Answer(2, "Usage:\n", "Unknown option: version\n"), WRAPPERS, WRAPPERS),
        (Answer(None, "", "", "qstat gave no answer"), "", PRO),
    ],
)
def test_versions_tell_whose_pbs_it_is(answer: Answer, version: str, flavour: str) -> None:
    assert PBS.parse_version(answer) == version
    assert PBS.adapted(version).flavour == flavour


NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,11}(\.[a-z]{1,8})?", fullmatch=True)
VALUES = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z"), exclude_characters="\x85")
    | st.sampled_from(" ,=:"),
    min_size=1,
).map(str.strip)


def folded(line: str, width: int) -> str:
    pieces = [line[at : at + width] for at in range(0, len(line), width)]
    return "\n\t".join(pieces)


@settings(max_examples=40)
@given(
    jobs=st.dictionaries(
        st.integers(1, 10**7),
        st.dictionaries(NAMES, VALUES.filter(bool), min_size=1, max_size=6),
        min_size=1,
        max_size=4,
    ),
    width=st.integers(40, 120),
)
def test_whatever_qstat_folds_is_read_again(jobs: dict[int, dict[str, str]], width: int) -> None:
    text = ""
    for number, attributes in jobs.items():
        text += f"Job Id: {number}.server\n    job_state = Q\n"
        for name, value in attributes.items():
            # A fold at white space loses it: PBS folds at commas and at its width.
            line = folded(f"    {name} = {value}", width)
            text += line + "\n"
        text += "\n"
    read = pbs_text.jobs(text)
    assert list(read) == [str(number) for number in jobs]
    for number, attributes in jobs.items():
        for name, value in attributes.items():
            if name != "job_state":
                assert read[str(number)][name].replace(" ", "") == value.replace(" ", "")


@given(cut=st.integers(0, 4000))
def test_wherever_an_answer_is_cut_nothing_wrong_is_said(cut: int) -> None:
    text = (RECORDED / "pbspro-19-history.txt").read_text()
    whole = PBS.parse_accounting(Answer(0, text)) or {}
    part = PBS.parse_accounting(Answer(0, text[:cut])) or {}
    assert all(whole[id] == job for id, job in part.items())


@given(text=st.text(), err=st.text(), code=st.integers(0, 255))
def test_no_answer_makes_a_reader_fail(text: str, err: str, code: int) -> None:
    for mixed in (text, f"Job Id: {text}\n    job_state = {text}\n\n"):
        answer = Answer(code, mixed, err)
        PBS.parse_poll(answer)
        PBS.parse_accounting(answer)
        PBS.parse_lookup(answer)
        PBS.parse_version(answer)
        PBS.parse_limits([answer] * 3)
        PBS.parse_occupancy([answer] * 2)


@given(walltime=st.integers(1, 10**7))
def test_a_walltime_is_read_as_it_is_written(walltime: int) -> None:
    assert pbs_text.seconds(pbs_text.clock(walltime)) == walltime


@pytest.mark.parametrize(
    ("text", "mib"),
    [("1024kb", 1), ("4gb", 4096), ("2mw", 16), ("1048576", 1), ("0b", 0), ("4 gold", None)],
)
def test_sizes_are_in_mebibytes(text: str, mib: float | None) -> None:
    assert pbs_text.mib(text) == mib


@pytest.mark.parametrize("text", ["Mo 17. Nov 2026", "Sat Nov 31 9", "", "n/a", "0"])
def test_a_time_that_cannot_be_read_is_unknown(text: str) -> None:
    assert pbs_text.moment(text) is None


def test_times_are_those_of_the_machine_s_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    for zone, hours in (("UTC", 0), ("Asia/Tokyo", -9), ("America/New_York", 5)):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        moment = pbs_text.moment("Tue Nov 17 12:00:00 2026")
        assert moment == 1794916800 + hours * 3600
    monkeypatch.undo()
    time.tzset()


def test_comments_that_mention_other_things_end_nothing() -> None:
    job = {"job_state": "F", "Exit_status": "0", "comment": "Job run on (preempt1:ncpus=1)"}
    assert pbs_jobs.end_of(job) == (0, Ending.NORMAL)
