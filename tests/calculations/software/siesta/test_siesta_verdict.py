"""The verdicts on nine recorded runs of SIESTA 4.1, and on what may become of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from calculations.software.results import Exit, Verdict
from calculations.software.siesta import Siesta

DATA = Path(__file__).parents[3] / "data" / "siesta"
OUTPUT = "output.out"


@pytest.fixture
def copy(tmp_path):
    def make(name: str) -> Path:
        return Path(shutil.copytree(DATA / name, tmp_path / "run"))

    return make


@pytest.mark.parametrize(
    ("folder", "code", "verdict", "named"),
    [
        ("water_single", 0, Verdict.VALID, "converged"),
        ("water_field_sweep/field_0.0", 0, Verdict.VALID, "converged"),
        ("water_field_sweep/field_0.4", 0, Verdict.VALID, "converged"),
        ("water_relax", 0, Verdict.VALID, "converged"),
        ("silicon_bands_dos", 0, Verdict.VALID, "converged"),
        ("water_scf_not_converged", 0, Verdict.NOT_VALID, "scf_not_converged"),
        ("water_scf_not_converged_abort", 134, Verdict.NOT_VALID, "scf_not_converged"),
        ("water_relax_not_converged", 0, Verdict.NOT_VALID, "geometry_not_converged"),
        ("missing_pseudopotential", 134, Verdict.FAILED, "missing_pseudopotential"),
        ("bad_keyword_block", 0, Verdict.FAILED, "input_error"),
    ],
)
def test_a_recorded_run_gets_its_verdict(folder, code, verdict, named):
    outcome = Siesta().judge(DATA / folder, Exit(code))
    assert (outcome.verdict, outcome.code) == (verdict, named)
    assert f"exit code {code}" in outcome.evidence
    assert bool(outcome.remedy) is (verdict is not Verdict.VALID)


def test_a_converged_run_quotes_the_lines_it_rests_on():
    outcome = Siesta().judge(DATA / "water_single", Exit(0))
    lines = (DATA / "water_single" / OUTPUT).read_text().splitlines()
    number = 1 + lines.index("SCF cycle converged after 12 iterations")
    quoted = f"SCF cycle converged after 12 iterations (output.out:{number})"
    assert outcome.evidence[0] == quoted
    assert f"Job completed (output.out:{len(lines)})" in outcome.evidence
    assert "0_NORMAL_EXIT present" in outcome.evidence
    assert outcome.message == "SCF converged in 12 iterations."


def test_an_scf_that_was_still_falling_is_advised_more_iterations():
    outcome = Siesta().judge(DATA / "water_scf_not_converged", Exit(0))
    assert "after 3 iterations at mixing weight 0.25" in outcome.message
    assert "at least 100 SCF iterations" in outcome.remedy
    assert any("(MESSAGES)" in line for line in outcome.evidence)
    assert any("(stderr)" in line for line in outcome.evidence)


def test_an_scf_that_got_stuck_is_advised_a_smaller_mixing_weight(copy):
    folder = copy("water_scf_not_converged")
    text = (folder / OUTPUT).read_text()
    text = text.replace("SCF Iter                     =        3", "SCF Iter  =  500")
    text = text.replace("1.433377", "0.028251").replace("0.059131", "0.028251")
    (folder / OUTPUT).write_text(text)
    assert "mixing weight of 0.1" in Siesta().judge(folder, Exit(0)).remedy


def test_scf_failure_is_recognised_by_each_of_its_three_witnesses_alone(copy):
    folder = copy("water_scf_not_converged")
    witnesses = {n: (folder / n).read_text() for n in (OUTPUT, "MESSAGES", "stderr.txt")}
    for kept in witnesses:
        for name, text in witnesses.items():
            lines = [line for line in text.splitlines() if name == kept or "NOT_CONV" not in line]
            (folder / name).write_text("\n".join(lines))
        assert Siesta().judge(folder, Exit(0)).code == "scf_not_converged"


def test_a_completed_run_without_the_line_of_convergence_is_not_valid(copy):
    folder = copy("water_single")
    text = (folder / OUTPUT).read_text().replace("SCF cycle converged", "SCF cycle ended")
    (folder / OUTPUT).write_text(text)
    outcome = Siesta().judge(folder, Exit(0))
    assert (outcome.verdict, outcome.code) == (Verdict.NOT_VALID, "scf_not_converged")
    assert any("no 'SCF cycle converged'" in line for line in outcome.evidence)


def test_a_geometry_that_did_not_converge_names_force_and_tolerance():
    outcome = Siesta().judge(DATA / "water_relax_not_converged", Exit(0))
    assert "0.472971" in outcome.message and "0.001" in outcome.message
    assert "now 2" in outcome.remedy


def test_a_relaxed_geometry_is_not_believed_against_its_own_forces(copy):
    folder = copy("water_relax")
    text = (folder / OUTPUT).read_text()
    (folder / OUTPUT).write_text(text.replace("Max    0.023421", "Max    0.523421"))
    assert Siesta().judge(folder, Exit(0)).code == "geometry_not_converged"


def test_a_missing_pseudopotential_is_named():
    outcome = Siesta().judge(DATA / "missing_pseudopotential", Exit(134))
    assert "N.psf" in outcome.message and "N.psf" in outcome.remedy


def test_broken_input_is_explained_by_the_words_of_fdf():
    outcome = Siesta().judge(DATA / "bad_keyword_block", Exit(0))
    assert "block_fdf structure not initialized" in outcome.message
    assert "block_fdf structure not initialized (stderr)" in outcome.evidence[0]


def test_words_of_success_in_the_copy_of_the_input_prove_nothing(copy):
    folder = copy("bad_keyword_block")
    text = (folder / OUTPUT).read_text()
    said = "SCF cycle converged after 1 iterations\nsiesta:         Total =  -1.0\nJob completed\n"
    text = text.replace("SystemName          water bad\n", f"SystemName  water\n{said}", 1)
    assert said in text
    (folder / OUTPUT).write_text(text)
    assert Siesta().judge(folder, Exit(0)).code == "input_error"


@pytest.mark.parametrize("part", [0.1, 0.5, 0.7, 0.9, 0.999])
def test_a_cut_output_is_never_valid(copy, part):
    folder = copy("water_single")
    whole = (folder / OUTPUT).read_bytes()
    (folder / OUTPUT).write_bytes(whole[: int(len(whole) * part)])
    outcome = Siesta().judge(folder, Exit(0))
    assert (outcome.verdict, outcome.code) == (Verdict.FAILED, "cut_output")


def test_an_energy_that_did_not_fit_its_column_is_not_valid(copy):
    folder = copy("water_single")
    text = (folder / OUTPUT).read_text()
    text = text.replace("Total =    -465.816187", "Total =    ***********")
    (folder / OUTPUT).write_text(text)
    assert Siesta().judge(folder, Exit(0)).code == "no_energy"


@pytest.mark.parametrize(
    ("ending", "stderr", "code"),
    [
        (Exit(None, timed_out=True), "", "walltime"),
        (Exit(137, signal=9), "", "killed"),
        (Exit(137), "", "killed"),
        (Exit(143), "", "killed"),
        (Exit(137), "slurmstepd: error: Detected 1 oom_kill event in StepId=7.0", "out_of_memory"),
        (Exit(1), "Operating system error: Cannot allocate memory", "out_of_memory"),
        (Exit(139), "Segmentation fault", "aborted"),
        (Exit(None, cancelled=True), "", "cancelled"),
    ],
)
def test_a_run_that_was_stopped_says_by_what(copy, ending, stderr, code):
    folder = copy("water_single")
    whole = (folder / OUTPUT).read_bytes()
    (folder / OUTPUT).write_bytes(whole[: int(len(whole) * 0.7)])
    (folder / "stderr.txt").write_text(stderr)
    (folder / "MESSAGES").write_text("")
    outcome = Siesta().judge(folder, ending)
    assert (outcome.verdict, outcome.code) == (Verdict.FAILED, code)
    assert outcome.remedy


@pytest.mark.parametrize(
    "ending",
    [Exit(1), Exit(137), Exit(None, signal=9), Exit(None, signal=11), Exit(0, timed_out=True)],
)
def test_a_bad_end_is_never_valid_even_after_job_completed(ending):
    assert Siesta().judge(DATA / "water_single", ending).verdict is Verdict.FAILED


def test_an_unknown_exit_code_does_not_spoil_a_complete_run():
    assert Siesta().judge(DATA / "water_single", Exit(None)).code == "converged"


def test_an_empty_folder_has_no_output(tmp_path):
    outcome = Siesta().judge(tmp_path, Exit(127))
    assert (outcome.verdict, outcome.code) == (Verdict.FAILED, "no_output")
    assert Siesta().judge(tmp_path / "absent", Exit(None)).code == "no_output"


def test_the_signal_is_told_in_words(copy):
    folder = copy("water_single")
    (folder / OUTPUT).write_text("Siesta Version  : v4.1-b4-133\n")
    message = Siesta().judge(folder, Exit(139)).message
    assert message.startswith("SIESTA stopped with exit code 139 (segmentation fault).")
