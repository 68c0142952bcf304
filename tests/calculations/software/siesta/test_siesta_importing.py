"""Whole fdf files as values of the form: what corresponds, what stays raw, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calculations.services import inputs
from calculations.software.siesta import Siesta, fdf
from calculations.software.siesta.importing import read_input
from calculations.software.siesta.raw import OWNED
from labportal.common.errors import InvalidInput

DATA = Path(__file__).parents[3] / "data" / "siesta"
ATOMS = """NumberOfAtoms 1
%block ChemicalSpeciesLabel
 1 26 Fe
%endblock
AtomicCoordinatesFormat Ang
%block AtomicCoordinatesAndAtomicSpecies
 0 0 0 1
%endblock
LatticeConstant 2.87 Ang
XC.Authors PBE
"""


def values(text: str) -> dict[str, Any]:
    return dict(read_input(text).parameters)


def refusal(text: str) -> str:
    with pytest.raises(ValueError) as caught:
        read_input(text)
    return str(caught.value)


@pytest.mark.parametrize(
    "name", ["silicon_bands_dos", "water_relax", "water_single", "water_scf_not_converged_abort"]
)
def test_recorded_inputs_come_back_as_they_were(name: str) -> None:
    text = (DATA / name / "input.fdf").read_text()
    text = text.replace("SCF.MustConverge F", "")
    siesta = Siesta()
    found = inputs.read(siesta, text)
    before, after = fdf.read(text), fdf.read(siesta.prepare(found.parameters)["input.fdf"])
    for label in ("MeshCutoff", "PAO.BasisSize", "MD.NumCGsteps", "MD.MaxForceTol", "SystemLabel"):
        entry = before.get(label)
        if entry is not None:
            assert numeric(after.get(label).value) == numeric(entry.value)
    for label in ("kgrid_Monkhorst_Pack", "BandLines", "ProjectedDensityOfStates"):
        entry = before.get(label)
        if entry is not None:
            assert [numeric(row) for row in after.get(label).rows] == [
                numeric(row) for row in entry.rows
            ]


def numeric(text: str) -> list[Any]:
    return [float(w) if w.replace(".", "").lstrip("-").isdigit() else w for w in text.split()]


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("MeshCutoff 2721.138 eV", "mesh_cutoff", pytest.approx(200.0, abs=1e-3)),
        ("mesh_cutoff 150", "mesh_cutoff", 150.0),
        ("Spin spin-orbit", "spin", "spin-orbit"),
        ("SpinPolarized T", "spin", "polarized"),
        ("ElectronicTemperature 25.85 meV", "electronic_temperature", pytest.approx(300, rel=1e-3)),
        ("DM.NumberPulay 5", "mixing_history", 5),
        ("DM.NumberPulay 0", "mixing_method", "linear"),
        ("DM.MixingWeight 0.05", "mixing_weight", 0.05),
        ("MD.MaxForceTol 0.001 Ry/Bohr", "force_tolerance", pytest.approx(0.02571, rel=1e-3)),
        ("MD.TargetPressure 10 kbar", "pressure", 1.0),
        ("MD.TypeOfRun Verlet\nMD.FinalTimeStep 50", "run_type", "Verlet"),
        ("MD.NumCGsteps 20", "run_type", "CG"),
        ("WriteMullikenPop 1\nWriteHirshfeldPop T", "charges", "all"),
        ("Slab.DipoleCorrection T", "slab_dipole", True),
        ("XC.Authors revPBE", "functional", "revPBE"),
        ("FixSpin T\nTotalSpin 2.0", "total_spin", 2.0),
        ("%block DM.InitSpin\n 1 +\n%endblock", "initial_spin", "1 +\n"),
        ("%block ExternalElectricField\n 0 0 1.0 V/nm\n%endblock", "field_z", 0.1),
    ],
)
def test_what_corresponds_is_translated(line: str, name: str, value: Any) -> None:
    assert values(line)[name] == value


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("4 0 0 0.5\n0 4 0 0.5\n0 0 4 0.5", {"k_points_a": 4, "k_shift": 0.5}),
        ("4 0 0 0.5\n0 4 0 0.5\n0 0 1 0.0", {"k_points_c": 1, "k_shift": 0.5}),
        ("4 1 0 0.0\n0 4 0 0.0\n0 0 1 0.0", {"k_grid": "4 1 0 0.0\n0 4 0 0.0\n0 0 1 0.0\n"}),
        ("4 0 0 0.5\n0 4 0 0.0\n0 0 1 0.0", {"k_grid": "4 0 0 0.5\n0 4 0 0.0\n0 0 1 0.0\n"}),
    ],
)
def test_a_grid_is_three_numbers_or_its_own_rows(rows: str, expected: dict[str, Any]) -> None:
    text = f"%block kgrid_Monkhorst_Pack\n{rows}\n%endblock"
    assert expected.items() <= values(text).items()


def test_the_rest_stays_as_raw_lines() -> None:
    found = read_input("SaveRho T\n%block LocalDensityOfStates\n -1 0 eV\n%endblock\n")
    assert fdf.read(found.parameters["extra_fdf"]).get("SaveRho").value == "T"
    assert "SaveRho, LocalDensityOfStates" in found.notes[-1]


def test_siestas_own_functional_holds_where_the_file_is_silent() -> None:
    found = read_input("MeshCutoff 100 Ry")
    assert found.parameters["functional"] == "LDA"
    assert "LDA" in found.notes[0]


def test_everything_at_fault_is_named_with_its_line() -> None:
    text = "MeshCutoff 5 miles\nDM.UseSaveDM T\nLua.Script x.lua\nSaveRho T\n%include more.fdf\n"
    said = refusal(text)
    assert "line 1: MeshCutoff has the unit 'miles'" in said
    assert "line 2: DM.UseSaveDM is set by the portal" in said
    assert "line 3: Lua.Script is set by the portal" in said
    assert "line 5" in said and "reads the file 'more.fdf'" in said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("SaveRho T\n%block Geometry.Constraints\n atom 1\n", "line 2: block Geometry.Constraints"),
        ("%block BandLines\n1 0 0 0 G\n9 1 0 0 X\n%endblock", "line 1: BandLines are in pi/a"),
        ("MaxSCFIterations many", "line 1: MaxSCFIterations needs a whole number"),
        ("SolutionMethod transiesta", "electrodes are set up in the form"),
        ("Spin sideways", "'sideways', which the form does not offer"),
        ("XC.Authors Nobody", "XC.Authors Nobody is not in the form"),
        ("MeshCutoff", "line 1: MeshCutoff has no value"),
        ("%block kgrid_Monkhorst_Pack\n 4 0\n%endblock", "needs three rows"),
        ("%block ProjectedDensityOfStates\n EF -5 5 0.1 100 eV\n%endblock", "Fermi level"),
    ],
)
def test_what_cannot_be_taken_says_why(text: str, words: str) -> None:
    assert words in refusal(text)


def test_a_file_without_atoms_or_with_bad_ones_is_refused() -> None:
    with pytest.raises(InvalidInput, match="has no block"):
        inputs.read(Siesta(), "MeshCutoff 100 Ry\n")
    with pytest.raises(InvalidInput, match="Mesh cutoff"):
        inputs.read(Siesta(), ATOMS + "MeshCutoff 5 Ry\n")


def test_an_iron_crystal_is_read_whole() -> None:
    found = inputs.read(Siesta(), ATOMS + "Spin polarized\n")
    structure = Siesta().structure(found.parameters)
    assert structure.formula == "Fe"
    assert structure.cell[0] == (2.87, 0.0, 0.0)


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused_in_words(text: str) -> None:
    try:
        read_input(text)
    except ValueError as error:
        assert str(error)


@given(st.sampled_from(sorted(OWNED)), st.text("0123456789 .eVRyTF", max_size=12))
def test_no_owned_keyword_slips_into_the_raw_lines(label: str, value: str) -> None:
    try:
        found = read_input(f"{label} {value}\n")
    except ValueError:
        return
    assert "extra_fdf" not in found.parameters
