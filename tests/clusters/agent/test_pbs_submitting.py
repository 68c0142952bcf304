"""What is said to qsub, and what its answers mean: an id, a refusal, a delay, or nothing sure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from calculations.software.base import Resources
from clusters.agent.commands import Answer
from clusters.agent.schedulers.base import Job, SubmissionRefused, TryLater
from clusters.agent.schedulers.dialect import Submission, Unclear
from clusters.agent.schedulers.pbs import Pbs
from clusters.agent.schedulers.pbs_site import WRAPPERS

PBS = Pbs()


@pytest.mark.parametrize(
    ("answer", "expected", "words"),
    [
        (Answer(0, "4711.pbs01\n"), "4711", ""),
        (Answer(0, "Welcome!\n4712[].pbs01.cluster.example\n"), "4712[]", ""),
        (Answer(0, "17\n"), "17", ""),
        (Answer(188, "", "qsub: Unknown queue\n"), SubmissionRefused, "Unknown queue"),
        (Answer(1, "", "qsub: Invalid account\n"), SubmissionRefused, "Invalid account"),
        (
            Answer(1, "There was an error\n'sbatch: error: no such partition: x\n'\n"),
            SubmissionRefused,
            "no such partition: x",
        ),
        (
            Answer(1, "", "qsub: would exceed queue generic's per-user limit of jobs\n"),
            TryLater,
            "per-user limit",
        ),
        (Answer(1, "", "qsub: Queue is not enabled\n"), TryLater, "not enabled"),
        (Answer(10, "", "qsub: cannot connect to server pbs01\n"), Unclear, "cannot connect"),
        (Answer(1, "", "qsub: End of File\n"), Unclear, "End of File"),
        (Answer(0, "", ""), Unclear, "exit code 0"),
        (Answer(1, "", ""), Unclear, "exit code 1"),
        (Answer(None, "", "", "qsub gave no answer within 30 s", 30.0), Unclear, "no answer"),
        (Answer(None, "", "", "qsub is not installed here"), TryLater, "not installed"),
    ],
)
def test_what_qsub_says_is_an_id_a_refusal_a_delay_or_unclear(
    answer: Answer, expected: str | type[Exception], words: str
) -> None:
    if isinstance(expected, str):
        assert PBS.parse_submit(answer) == expected
        return
    with pytest.raises(expected, match=words):
        PBS.parse_submit(answer)


def submission(count: int = 1, **asked: Any) -> Submission:
    jobs = tuple(
        Job((f"run-{n}", 1), Path("/w"), Path("/c"), ["x"], {}, "out",
            resources=Resources(**{"tasks": 1, **asked}))
        for n in range(count)
    )  # fmt: skip
    name = "lab-6b1d3a52-0f0e-4c3a-9d0e-5a6f7e8d9c0b-1"
    return Submission(name, "comment", jobs, Path("/s/x.sh"), Path("/s/x.out"))


def test_qsub_s_words_for_pbs_pro() -> None:
    words = PBS.submit_arguments(
        submission(
            cores=8, nodes=2, tasks=8, memory_mib=3000, gpus=2, gpu_type="a100",
            walltime_s=5400, partition="gpuq", account="chem", exclusive=True,
            licences=("matlab:2", "comsol"),
        )
    )  # fmt: skip
    text = " ".join(words)
    assert words[0] == "qsub" and words[-1] == "/s/x.sh"
    assert "-l select=2:ncpus=4:mpiprocs=4:mem=1500mb:ngpus=1:gpu_type=a100" in text
    assert "-l place=scatter:excl -l walltime=01:30:00 -l matlab=2 -l comsol=1" in text
    assert "-q gpuq -A chem" in text
    assert "-r n" in text and "-j oe -o /s/x.out" in text
    assert "-v LABPORTAL_JOB=lab-6b1d3a52-0f0e-4c3a-9d0e-5a6f7e8d9c0b-1" in text
    assert "-V" not in words, "the agent's environment is nobody's business"
    assert len(words[words.index("-N") + 1]) == 15


def test_an_array_must_be_allowed_to_run_again_at_pbs_pro() -> None:
    text = " ".join(PBS.submit_arguments(submission(3)))
    assert "-r y" in text and "-J 0-2" in text and "-o /s/x.out.^array_index^" in text
    assert '"${PBS_ARRAY_INDEX}"' in PBS.script(submission(3))


def test_qsub_s_words_for_torque_are_one_list() -> None:
    torque = PBS.adapted("Torque 6.1.3")
    words = torque.submit_arguments(submission(3, cores=4, nodes=2, walltime_s=60, exclusive=True))
    text = " ".join(words)
    assert words.count("-l") == 1
    assert "-l nodes=2:ppn=2,mem=1024mb,walltime=00:01:00,naccesspolicy=singlejob" in text
    assert "-t 0-2" in text and "-r n" in text
    assert '"${PBS_ARRAYID}"' in torque.script(submission(3))


def test_slurm_s_wrappers_get_no_arrays() -> None:
    wrappers = PBS.adapted(WRAPPERS)
    assert wrappers.options.array_max == 1
    assert "-S" not in wrappers.submit_arguments(submission())


@pytest.mark.parametrize("field", ["partition", "account", "gpu_type"])
@pytest.mark.parametrize("text", ["a b", "x;rm", "$(id)", "a,b", "ä", "x\ny", "a:b"])
def test_what_is_no_name_never_reaches_a_command(field: str, text: str) -> None:
    with pytest.raises(SubmissionRefused, match="is no"):
        PBS.submit_arguments(submission(**{field: text}))


def test_a_quality_of_service_is_refused_where_there_is_none() -> None:
    job = submission(qos="high").job
    assert "no quality of service" in PBS.refusal(job, {})
    assert PBS.adapted("Torque 6").refusal(job, {}) == ""


def test_names_are_found_again_however_long_they_are() -> None:
    assert PBS.shown_name("lab-short") == "lab-short"
    long = {PBS.shown_name(f"lab-array-{number:024d}") for number in range(500)}
    assert len(long) == 500
    assert {len(name) for name in long} == {15}
