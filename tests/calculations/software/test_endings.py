"""Endings that mean the same for every program, and the changes that verdicts advise."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from calculations.software.advice import lower_weight, more_steps
from calculations.software.espresso import Espresso
from calculations.software.results import Exit, Outcome
from calculations.software.siesta import Siesta

DATA = Path(__file__).parents[2] / "data"
SIESTA, ESPRESSO = DATA / "siesta", DATA / "espresso"


@pytest.mark.parametrize(
    ("software", "folder"),
    [(Siesta(), SIESTA / "water_single"), (Espresso(), ESPRESSO / "water_scf")],
)
@pytest.mark.parametrize(
    ("note", "exit", "code"),
    [
        ("write: No space left on device", Exit(2), "disk_full"),
        ("forrtl: Disk quota exceeded", Exit(38), "disk_full"),
        ("Out of memory: killed", Exit(137), "out_of_memory"),
        ("", Exit(None, timed_out=True), "walltime"),
        ("", Exit(None, cancelled=True), "cancelled"),
        ("", Exit(143), "killed"),
        ("", Exit(0), "cut_output"),
    ],
)
def test_the_same_end_has_the_same_name(
    tmp_path: Path, software: Any, folder: Path, note: str, exit: Exit, code: str
) -> None:
    copy = tmp_path / "run"
    copytree(folder, copy)
    text = (copy / "output.out").read_text()
    (copy / "output.out").write_text(text[: len(text) // 2])
    for name in ("MESSAGES", "0_NORMAL_EXIT"):
        (copy / name).unlink(missing_ok=True)
    (copy / "stderr.txt").write_text(note)
    outcome = software.judge(copy, exit)
    assert outcome.code == code
    assert outcome.remedy
    assert outcome.retry == {}
    if note:
        assert any(note in line for line in outcome.evidence)


@pytest.mark.parametrize("software", [Siesta(), Espresso()])
def test_no_output_is_the_same_for_all(tmp_path: Path, software: Any) -> None:
    assert software.judge(tmp_path, Exit(127)).code == "no_output"


def test_a_pseudopotential_of_another_element_is_named(tmp_path: Path) -> None:
    note = "ERROR: pseudopotential file Si.psf has a different element"
    (tmp_path / "output.out").write_text("Siesta Version  : v4.1\n")
    (tmp_path / "stderr.txt").write_text(note)
    outcome = Siesta().judge(tmp_path, Exit(1))
    assert outcome.code == "wrong_pseudopotential"
    assert note in outcome.message


def test_a_cycle_on_its_way_gets_more_iterations_and_its_density() -> None:
    outcome = Siesta().judge(SIESTA / "water_scf_not_converged", Exit(0))
    assert outcome.retry == {"max_scf_iterations": 100}
    assert outcome.restart == ("*.DM",)


def stuck(tmp_path: Path, *replaced: tuple[str, str]) -> Outcome:
    copy = tmp_path / "run"
    copytree(SIESTA / "water_scf_not_converged", copy)
    text = (copy / "output.out").read_text()
    pairs = (("SCF Iter                     =        3", "SCF Iter  =  300"),
             ("1.433377", "0.028251"), ("0.059131", "0.028251"))  # fmt: skip
    for old, new in (*pairs, *replaced):
        assert old in text
        text = text.replace(old, new)
    (copy / "output.out").write_text(text)
    return Siesta().judge(copy, Exit(0))


def test_a_cycle_that_swings_is_mixed_less_from_the_start(tmp_path: Path) -> None:
    outcome = stuck(tmp_path)
    assert outcome.retry == {"mixing_weight": 0.1}
    assert outcome.restart == ()
    assert "0.1" in outcome.remedy


def test_the_second_advice_is_a_longer_memory_and_more_time(tmp_path: Path) -> None:
    outcome = stuck(
        tmp_path, ("Mixing weight                        =     0.25", "Mixing weight = 0.1")
    )
    assert outcome.retry == {
        "mixing_method": "Pulay",
        "mixing_history": 6,
        "max_scf_iterations": 600,
    }


def test_a_geometry_goes_on_with_more_moves() -> None:
    outcome = Siesta().judge(SIESTA / "water_relax_not_converged", Exit(0))
    assert outcome.retry == {"max_steps": 100}
    assert outcome.last_geometry
    assert Outcome.from_json(outcome.to_json()) == outcome


def test_espresso_advises_the_same_in_its_own_words() -> None:
    scf = Espresso().judge(ESPRESSO / "water_scf_not_converged", Exit(2))
    assert scf.retry == {"electron_maxstep": 100}
    relax = Espresso().judge(ESPRESSO / "hydrogen_relax_not_converged", Exit(3))
    assert relax.retry == {"nstep": 100}
    assert relax.last_geometry


@pytest.mark.parametrize(
    ("weight", "lower"),
    [(0.7, 0.3), (0.3, 0.1), (0.25, 0.1), (0.1, 0.05), (0.02, 0.01), (0.01, None)],
)
def test_weights_are_lowered_to_round_ones(weight: float, lower: float | None) -> None:
    assert lower_weight(weight) == lower


def test_limits_are_doubled_but_never_small() -> None:
    assert (more_steps(3), more_steps(300)) == (100, 600)
