"""The verdicts on recorded runs of pw.x 6.7, and on what may become of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from calculations.software.results import Exit, Verdict
from tests.calculations.software.espresso.recorded import DATA, ESPRESSO, SWEEP

OUTPUT = "output.out"
BOX = " " + 78 * "%"


@pytest.fixture
def copy(tmp_path):
    def make(name: str) -> Path:
        return Path(shutil.copytree(DATA / name, tmp_path / "run"))

    return make


def replace(folder: Path, *pairs: tuple[str, str]) -> None:
    text = (folder / OUTPUT).read_text()
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    (folder / OUTPUT).write_text(text)


@pytest.mark.parametrize(
    ("folder", "code", "verdict", "named"),
    [
        ("water_scf", 0, Verdict.VALID, "converged"),
        ("hydrogen_relax", 0, Verdict.VALID, "converged"),
        ("silicon_vc_relax", 0, Verdict.VALID, "converged"),
        ("silicon_bands", 0, Verdict.VALID, "converged"),
        *(
            (f"silicon_lattice_sweep/celldm_{value}", 0, Verdict.VALID, "converged")
            for value in SWEEP
        ),
        ("water_scf_not_converged", 2, Verdict.NOT_VALID, "scf_not_converged"),
        ("hydrogen_relax_not_converged", 3, Verdict.NOT_VALID, "geometry_not_converged"),
        ("missing_pseudopotential", 1, Verdict.FAILED, "missing_pseudopotential"),
        ("bad_keyword", 1, Verdict.FAILED, "input_error"),
    ],
)
def test_a_recorded_run_gets_its_verdict(folder, code, verdict, named):
    outcome = ESPRESSO.judge(DATA / folder, Exit(code))
    assert (outcome.verdict, outcome.code) == (verdict, named)
    assert f"exit code {code}" in outcome.evidence
    assert bool(outcome.remedy) is (verdict is not Verdict.VALID)


def test_a_converged_run_quotes_the_lines_it_rests_on():
    outcome = ESPRESSO.judge(DATA / "water_scf", Exit(0))
    lines = [line.strip() for line in (DATA / "water_scf" / OUTPUT).read_text().splitlines()]
    said = "convergence has been achieved in  10 iterations"
    assert outcome.evidence[0] == f"{said} (output.out:{1 + lines.index(said)})"
    assert f"JOB DONE. (output.out:{1 + lines.index('JOB DONE.')})" in outcome.evidence
    assert outcome.message == "SCF converged in 10 iterations."


def test_a_relaxation_says_how_many_geometries_it_took():
    outcome = ESPRESSO.judge(DATA / "hydrogen_relax", Exit(0))
    assert outcome.message == "SCF converged in 4 iterations and geometry converged in 4 steps."
    assert any("bfgs converged in   4 scf cycles" in line for line in outcome.evidence)
    cell = ESPRESSO.judge(DATA / "silicon_vc_relax", Exit(0))
    assert "geometry converged in 4 steps" in cell.message


def test_the_bands_say_at_how_many_points():
    assert ESPRESSO.judge(DATA / "silicon_bands", Exit(0)).message == (
        "SCF converged in 5 iterations; bands at 41 k-points."
    )


def test_job_done_and_exit_code_0_do_not_make_an_unconverged_scf_valid():
    for code in (0, 2, None):
        outcome = ESPRESSO.judge(DATA / "water_scf_not_converged", Exit(code))
        assert (outcome.verdict, outcome.code) == (Verdict.NOT_VALID, "scf_not_converged")
    assert "after 3 iterations at mixing weight 0.7" in outcome.message
    assert "0.00456946 Ry" in outcome.message
    assert "at least 100 SCF iterations (now 3)" in outcome.remedy
    assert any("JOB DONE." in line for line in outcome.evidence)
    assert any("STOP 2 (stderr)" in line for line in outcome.evidence)


def test_an_scf_that_got_stuck_is_advised_a_smaller_mixing_weight(copy):
    folder = copy("water_scf_not_converged")
    replace(
        folder,
        ("0.33881815", "0.00456946"),
        ("0.46740968", "0.00456946"),
        ("iteration #  3", "iteration #100"),
    )
    assert "mixing weight of 0.3" in ESPRESSO.judge(folder, Exit(2)).remedy


def test_each_witness_of_an_unconverged_scf_suffices(copy):
    folder = copy("water_scf_not_converged")
    replace(folder, ("convergence NOT achieved", "what was said"))
    assert ESPRESSO.judge(folder, Exit(2)).code == "scf_not_converged"
    assert ESPRESSO.judge(folder, Exit(0)).code == "scf_not_converged"


def test_the_last_geometry_must_have_converged(copy):
    folder = copy("hydrogen_relax")
    text = (folder / OUTPUT).read_text()
    head, _, tail = text.rpartition("convergence has been achieved")
    (folder / OUTPUT).write_text(f"{head}nothing was achieved{tail}")
    assert ESPRESSO.judge(folder, Exit(0)).code == "scf_not_converged"


def test_a_geometry_that_did_not_converge_names_its_force():
    outcome = ESPRESSO.judge(DATA / "hydrogen_relax_not_converged", Exit(3))
    assert "after 2 steps: the largest force is 0.018669 Ry/Bohr" in outcome.message
    assert "(now 2)" in outcome.remedy
    zero = ESPRESSO.judge(DATA / "hydrogen_relax_not_converged", Exit(0))
    assert zero.code == "geometry_not_converged"


def test_a_relaxed_geometry_is_not_believed_against_its_own_forces(copy):
    folder = copy("hydrogen_relax")
    replace(folder, ("0.00039630", "0.03963000"))
    assert ESPRESSO.judge(folder, Exit(0)).code == "geometry_not_converged"


def test_a_relaxation_that_only_ended_is_not_believed(copy):
    folder = copy("hydrogen_relax")
    replace(folder, ("bfgs converged in", "bfgs stopped in"))
    assert ESPRESSO.judge(folder, Exit(0)).code == "geometry_not_converged"


def test_a_missing_pseudopotential_is_named():
    outcome = ESPRESSO.judge(DATA / "missing_pseudopotential", Exit(1))
    assert outcome.message == (
        "The pseudopotential Nope.UPF is missing in /usr/share/espresso/pseudo."
    )
    assert "Nope.UPF" in outcome.remedy
    assert "readpp (1): file" in outcome.evidence[0]


def test_bands_without_their_second_step_are_not_valid(copy):
    folder = copy("silicon_bands")
    whole = (folder / OUTPUT).read_text()
    (folder / OUTPUT).write_text(whole[: whole.index("JOB DONE.") + 10])
    outcome = ESPRESSO.judge(folder, Exit(137))
    assert (outcome.verdict, outcome.code) == (Verdict.FAILED, "killed")
    outcome = ESPRESSO.judge(folder, Exit(0))
    assert (outcome.verdict, outcome.code) == (Verdict.FAILED, "cut_output")
    assert outcome.message.startswith("The step of the bands did not reach its end")
    assert "no 'JOB DONE.' of step 2" in outcome.evidence[-2]


def test_bands_that_cannot_be_read_are_not_valid(copy):
    folder = copy("silicon_bands")
    replace(folder, ("End of band structure calculation", "End of something"))
    assert ESPRESSO.judge(folder, Exit(0)).code == "no_bands"


@pytest.mark.parametrize("name", ["water_scf", "hydrogen_relax", "silicon_bands"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.7, 0.9, 0.985])
def test_a_cut_output_is_never_valid(copy, name, part):
    folder = copy(name)
    whole = (folder / OUTPUT).read_bytes()
    (folder / OUTPUT).write_bytes(whole[: int(len(whole) * part)])
    outcome = ESPRESSO.judge(folder, Exit(0))
    assert (outcome.verdict, outcome.code) == (Verdict.FAILED, "cut_output")


def test_an_energy_that_did_not_fit_its_column_is_not_valid(copy):
    folder = copy("water_scf")
    replace(folder, ("!    total energy              =     -34.25004787", "! total energy = *****"))
    assert ESPRESSO.judge(folder, Exit(0)).code in ("no_energy", "cut_output")
    replace(folder, ("! total energy = *****", "!    total energy              = **************"))
    assert ESPRESSO.judge(folder, Exit(0)).code == "no_energy"


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
    folder = copy("water_scf")
    whole = (folder / OUTPUT).read_bytes()
    (folder / OUTPUT).write_bytes(whole[: int(len(whole) * 0.7)])
    (folder / "stderr.txt").write_text(stderr)
    outcome = ESPRESSO.judge(folder, ending)
    assert (outcome.verdict, outcome.code) == (Verdict.FAILED, code)
    assert outcome.remedy


@pytest.mark.parametrize(
    "ending",
    [Exit(1), Exit(137), Exit(None, signal=9), Exit(None, signal=11), Exit(0, timed_out=True)],
)
def test_a_bad_end_is_never_valid_even_after_job_done(ending):
    assert ESPRESSO.judge(DATA / "water_scf", ending).verdict is Verdict.FAILED


@pytest.mark.parametrize("code", [2, 3])
def test_a_code_of_its_own_is_believed_against_the_output(code):
    assert ESPRESSO.judge(DATA / "water_scf", Exit(code)).verdict is not Verdict.VALID


def test_an_unknown_exit_code_does_not_spoil_a_complete_run():
    assert ESPRESSO.judge(DATA / "water_scf", Exit(None)).code == "converged"


def test_an_empty_folder_has_no_output(tmp_path):
    outcome = ESPRESSO.judge(tmp_path, Exit(127))
    assert (outcome.verdict, outcome.code) == (Verdict.FAILED, "no_output")
    assert ESPRESSO.judge(tmp_path / "absent", Exit(None)).code == "no_output"


def box(routine: str, text: str) -> str:
    return f"{BOX}\n     Error in routine {routine} (1):\n     {text}\n{BOX}\n\n     stopping ...\n"


@pytest.mark.parametrize(
    ("routine", "text", "code", "remedy"),
    [
        ("readpp", "file ./Si.UPF not found", "missing_pseudopotential", "Supply Si.UPF"),
        ("read_scf", "error opening paw.txt", "carried_density_does_not_fit", "independently"),
        ("electrons", "charge is wrong: smearing is needed", "input_error", "smeared"),
        ("check_atoms", "atoms #   1 and #   2 overlap!", "input_error", "one place"),
        ("setup", "nbnd too small", "input_error", "number of bands"),
        ("allocate_fft", "cannot allocate rho", "out_of_memory", "memory"),
        ("strange", "nobody knows", "input_error", "Check the parameters"),
    ],
)
def test_the_box_of_an_error_is_explained(tmp_path, routine, text, code, remedy):
    head = "     Program PWSCF v.6.7MaX starts on 21Nov2026 at  4:56:46\n"
    (tmp_path / OUTPUT).write_text(head + box(routine, text))
    outcome = ESPRESSO.judge(tmp_path, Exit(1))
    assert outcome.code == code
    assert remedy in outcome.remedy
    assert any(text in line for line in outcome.evidence)


def test_an_error_amid_the_iterations_is_no_error_of_input(copy):
    folder = copy("water_scf")
    text = (folder / OUTPUT).read_text()
    cut = text[: text.index("iteration #  4")]
    (folder / OUTPUT).write_text(cut + box("cdiaghg", "eigenvectors failed to converge"))
    outcome = ESPRESSO.judge(folder, Exit(1))
    assert (outcome.verdict, outcome.code) == (Verdict.FAILED, "aborted")
    assert "conjugate gradients" in outcome.remedy


def test_the_signal_is_told_in_words(copy):
    folder = copy("water_scf")
    (folder / OUTPUT).write_text("     Program PWSCF v.6.7MaX starts on ...\n")
    message = ESPRESSO.judge(folder, Exit(139)).message
    assert message.startswith("pw.x stopped with exit code 139 (segmentation fault).")
