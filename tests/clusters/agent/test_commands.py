"""Calls of a site's programs: bounded in time and output, in English, never through a shell."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from clusters.agent.commands import call, clean_environment


def test_what_a_program_says_comes_back_whole() -> None:
    answer = call(["sh", "-c", "echo out; echo err >&2; exit 3"], timeout_s=10)
    assert (answer.code, answer.out, answer.err, answer.problem) == (3, "out\n", "err\n", "")
    assert not answer.good
    assert answer.words == "err"


def test_words_are_arguments_and_no_shell_text() -> None:
    word = "a b; $(touch x) 'ö\n"
    answer = call(
        [sys.executable, "-c", "import sys; print(sys.argv[1], end='')", word], timeout_s=9
    )
    assert answer.good
    assert answer.out == word


def test_a_program_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    began = time.monotonic()
    answer = call(
        ["sh", "-c", f"sleep 60 & echo $! >{tmp_path}/child; echo begun; wait"], timeout_s=0.3
    )
    assert time.monotonic() - began < 5
    assert (answer.code, answer.out) == (None, "begun\n")
    assert answer.problem == "sh gave no answer within 0.3 s"
    child = int((tmp_path / "child").read_text())
    with pytest.raises(ProcessLookupError):
        for _ in range(200):
            os.kill(child, 0)
            time.sleep(0.01)


def test_one_that_leaves_its_output_open_to_a_daemon_does_not_hold_the_agent() -> None:
    answer = call(["sh", "-c", "sleep 60 & echo done"], timeout_s=0.3)
    assert answer.out == "done\n"
    assert not answer.good


def test_a_flood_is_cut_and_said_to_be() -> None:
    answer = call(["sh", "-c", "yes | head -c 300000"], timeout_s=10, max_output=1000)
    assert len(answer.out) == 1000
    assert answer.problem == "sh said more than 1000 bytes"
    assert not answer.good


def test_an_absent_program_is_named() -> None:
    answer = call(["no-such-program"], timeout_s=1)
    assert (answer.code, answer.seconds) == (None, 0.0)
    assert "no-such-program is not installed here" in answer.words


def test_a_nul_and_bytes_that_are_no_text_do_no_harm() -> None:
    assert "cannot be started" in call(["echo", "a\0b"], timeout_s=1).problem
    assert call(["printf", r"\377ok"], timeout_s=9).out == "\N{REPLACEMENT CHARACTER}ok"


def test_a_program_ended_by_a_signal_has_not_answered() -> None:
    answer = call(["sh", "-c", "echo half; kill -9 $$"], timeout_s=9)
    assert answer.problem == "sh was ended by signal 9"
    assert not answer.good


def test_its_folders_stand_before_those_of_path(tmp_path: Path) -> None:
    program = tmp_path / "squeue"
    program.write_text("#!/bin/sh\necho mine\n")
    program.chmod(0o755)
    assert call(["squeue"], timeout_s=9, folders=str(tmp_path)).out == "mine\n"


def test_the_environment_is_english_and_of_no_job() -> None:
    own = {
        "LC_NUMERIC": "de_DE.UTF-8",
        "LANG": "de_DE.UTF-8",
        "SLURM_JOB_ID": "7",
        "SBATCH_ACCOUNT": "other",
        "SLURM_CONF": "/etc/slurm.conf",
        "LABPORTAL_AGENT_CONFIG": "x",
        "HOME": "/home/ada",
    }
    clean = clean_environment(own, {"SLURM_TIME_FORMAT": "%s"})
    assert (clean["LC_ALL"], clean["LANG"]) == ("C", "C")
    assert clean["SLURM_CONF"] == "/etc/slurm.conf"
    assert clean["HOME"] == "/home/ada"
    assert clean["SLURM_TIME_FORMAT"] == "%s"
    assert not {"LC_NUMERIC", "SLURM_JOB_ID", "SBATCH_ACCOUNT", "LABPORTAL_AGENT_CONFIG"} & set(
        clean
    )
