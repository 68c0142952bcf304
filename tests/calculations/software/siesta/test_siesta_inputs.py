"""From the form to input.fdf, and what the form refuses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calculations.software.base import Resources
from calculations.software.graph import order_analyses
from calculations.software.parameters import InvalidParameters, Kind
from calculations.software.siesta import Siesta, fdf, raw

DATA = Path(__file__).parents[3] / "data" / "siesta"
SILICON = "2\n\nSi 0 0 0\nSi 1.3575 1.3575 1.3575\n"
SILICON_CELL = "2.715 2.715 0\n2.715 0 2.715\n0 2.715 2.715"


def prepared(values=None, carried=()):
    siesta = Siesta()
    return siesta.prepare(siesta.check(values or {}), carried)["input.fdf"]


def refused(values):
    with pytest.raises(InvalidParameters) as caught:
        Siesta().check(values)
    return caught.value.errors


def test_the_defaults_are_water_ready_to_run():
    document = fdf.read(prepared())
    assert document.get("SystemName").value == "H2O"
    assert document.get("NumberOfAtoms").value == "3"
    assert document.get("ChemicalSpeciesLabel").rows == ("1    8  O", "2    1  H")
    assert document.get("MeshCutoff").value == "200.0 Ry"
    assert document.get("DM.UseSaveDM").value == "F"
    assert document.get("LatticeVectors") is None
    assert document.get("ExternalElectricField") is None
    assert document.get("MD.TypeOfRun") is None


@pytest.mark.parametrize("name", ["water_single", "water_field_sweep/field_0.1", "water_relax"])
def test_recorded_inputs_can_be_written_from_the_form(name):
    recorded = fdf.read((DATA / name / "input.fdf").read_text())
    values = {"system_label": "water", "cell": "10 10 10", "mesh_cutoff": 100}
    if "field" in name:
        values["field_y"] = 0.1
    if "relax" in name:
        values.update(run_type="CG", max_steps=30, force_tolerance=0.04)
    written = fdf.read(prepared(values, ["water.DM"] if "field" in name else []))
    checked = 0
    for entry in recorded:
        if entry.key in ("systemname", "latticeconstant", "latticevectors"):
            continue
        ours = written.get(entry.label)
        if entry.rows is None:
            assert numeric(ours.value.split()) == numeric(entry.value.split())
        else:
            assert [numeric(row.split()) for row in ours.rows] == [
                numeric(row.split()) for row in entry.rows
            ]
        checked += 1
    assert checked >= 8


def numeric(words):
    return [float(word) if re.fullmatch(r"[-+.\de]*\d[-+.\de]*", word) else word for word in words]


def test_a_carried_density_matrix_is_used_only_under_this_runs_label():
    values = {"system_label": "water"}
    assert fdf.read(prepared(values, ["water.DM"])).get("DM.UseSaveDM").value == "T"
    assert fdf.read(prepared(values, ["other.DM"])).get("DM.UseSaveDM").value == "F"
    assert Siesta().carry == ("*.DM",)


def test_the_same_form_gives_the_same_text():
    values = {"field_y": 0.1, "extra_fdf": "WriteKpoints 1\n"}
    assert prepared(values) == prepared(dict(reversed(values.items())))


def test_raw_lines_follow_the_form():
    lines = "# a remark\nWriteKpoints 1\n%block DM.InitMag\n 1 1\n%endblock"
    text = prepared({"extra_fdf": lines})
    document = fdf.read(text)
    assert document.get("WriteKpoints").value == "1"
    assert document.get("DM.InitMag").rows == ("1 1",)
    assert "remark" not in text


@pytest.mark.parametrize(
    "label",
    ["SystemLabel", "system_label", "NUMBER-OF-ATOMS", "dm.usesavedm", "MeshCutoff",
     "SCF.DM.Tolerance", "DM.Tolerance", "DM.MixingWeight", "NetCharge", "MD.TypeOfRun",
     "SpinPolarized", "XC.Authors", "Lua.Script"],
)  # fmt: skip
def test_keywords_of_the_portal_are_refused_by_name_and_line(label):
    error = refused({"extra_fdf": f"WriteKpoints 1\n\n{label} x\n"})["extra_fdf"]
    assert error.startswith(f"line 3: {label} is set by the portal")


def test_blocks_of_the_portal_are_refused_and_all_at_once():
    text = "%block AtomicCoordinatesAndAtomicSpecies\n 0 0 0 1\n%endblock\nSpin polarized\n"
    error = refused({"extra_fdf": text})["extra_fdf"]
    assert "line 1: AtomicCoordinatesAndAtomicSpecies" in error
    assert "line 4: Spin" in error


@pytest.mark.parametrize(
    "line", ["%include /etc/passwd", "WriteDM < x.fdf", "%block Zm < y", "%block A<y"]
)
def test_other_files_are_refused_in_raw_lines(line):
    error = refused({"extra_fdf": f"WriteKpoints 1\n{line}\n"})["extra_fdf"]
    assert error.startswith("line 2: reads the file")


def test_broken_raw_lines_are_refused_with_their_line():
    assert (
        "line 2: block A is never closed"
        in refused({"extra_fdf": "x 1\n%block A\n 1\n"})["extra_fdf"]
    )


def test_every_keyword_that_the_form_writes_is_refused_in_raw_lines():
    text = prepared(
        {"structure": SILICON, "cell": SILICON_CELL, "k_points_a": 4, "bands": True, "dos": True,
         "dos_k_points": 6, "run_type": "CG", "variable_cell": True, "field_z": 0.1}
    )  # fmt: skip
    keys = {entry.key for entry in fdf.read(text)}
    assert len(keys) > 25
    assert all(raw.is_owned(key) for key in keys)


def test_silicon_with_bands_and_density_of_states():
    text = prepared(
        {"structure": SILICON, "cell": SILICON_CELL,
         "k_points_a": 4, "k_points_b": 4, "k_points_c": 4, "k_shift": 0.5,
         "bands": True, "dos": True, "dos_minimum": -15, "dos_maximum": 8,
         "dos_points": 400, "dos_k_points": 6}
    )  # fmt: skip
    ours = fdf.read(text)
    recorded = fdf.read((DATA / "silicon_bands_dos" / "input.fdf").read_text())
    for label in ("kgrid_Monkhorst_Pack", "ProjectedDensityOfStates", "PDOS.kgrid_Monkhorst_Pack"):
        assert [row.split() for row in ours.get(label).rows] == [
            row.split() for row in recorded.get(label).rows
        ]
    assert [row.split() for row in ours.get("BandLines").rows] == [
        row.split() for row in recorded.get("BandLines").rows
    ]


@pytest.mark.parametrize(
    ("values", "name", "words"),
    [
        ({"structure": "3\nwater\nO 0 0 0\n"}, "structure", "promises 3 atoms, but 1"),
        ({"structure": "Xx 0 0 0"}, "structure", "line 1: 'Xx' is not a chemical symbol"),
        ({"structure": "O 0 0 zero"}, "structure", "is not a number"),
        ({"structure": "O 0 0 0\nH 0 0 0.1"}, "structure", "atoms 1 and 2 are closer"),
        ({"cell": "1 2"}, "cell", "three lines of three numbers"),
        ({"cell": "1 0 0 2 0 0 0 0 1"}, "cell", "no volume"),
        ({"system_label": "../water"}, "system_label", "letters, digits"),
        ({"mesh_cutoff": 5}, "mesh_cutoff", "below the least"),
        ({"bands": True}, "bands", "needs a cell"),
        ({"k_points_b": 2}, "k_points_b", "needs a cell"),
        ({"variable_cell": True, "cell": "5 5 5"}, "variable_cell", "needs the optimisation"),
        ({"dos": True, "dos_minimum": 5, "dos_maximum": 1}, "dos_maximum", "above the lower end"),
        (
            {"bands": True, "cell": "5 5 5", "band_lines": "1 0 0 0 G\n20 x\n"},
            "band_lines",
            "line 2",
        ),
    ],
)
def test_the_form_refuses_and_says_why(values, name, words):
    assert words in refused(values)[name]


def test_pseudopotentials_are_named_one_for_each_element():
    siesta = Siesta()
    assert siesta.needed_files(siesta.check({})) == ("O.psf", "H.psf")
    assert siesta.needed_files(siesta.check({"pseudo_format": "psml"})) == ("O.psml", "H.psml")


def test_the_command_is_a_list_and_the_input_comes_on_standard_input():
    siesta = Siesta()
    parameters = siesta.check({})
    assert siesta.command(parameters, Resources(), {}) == ["siesta"]
    site = {"executable": "/opt/my siesta/siesta", "launcher": "mpirun -n {cores}"}
    assert siesta.command(parameters, Resources(cores=4), site) == [
        "mpirun", "-n", "4", "/opt/my siesta/siesta",
    ]  # fmt: skip
    assert siesta.stdin_file in siesta.prepare(parameters)


def program(folder: Path, script: str) -> dict[str, str]:
    path = folder / "siesta"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return {"executable": str(path)}


def test_discover_reads_the_version_or_finds_nothing(tmp_path):
    siesta = Siesta()
    assert siesta.discover({"executable": str(tmp_path / "absent")}) is None
    site = program(tmp_path, "echo 'Siesta Version  : v4.1-b4-133'")
    assert siesta.discover(site) == "v4.1-b4-133"
    assert siesta.discover(program(tmp_path, "echo 'Version         : 5.2.1'")) == "5.2.1"
    assert siesta.discover(program(tmp_path, "exit 1")) is None
    assert siesta.discover(program(tmp_path, "cat; touch left; echo 'version: 4.0'")) == "4.0"
    assert not (Path.cwd() / "left").exists()


def test_progress_is_that_of_the_last_iteration():
    text = (DATA / "water_relax" / "output.out").read_text()
    progress = Siesta().progress(text[-12_000:])
    assert (progress.done, progress.what) == (5, "SCF iteration, CG move 8")
    assert progress.monitor == 0.000091
    whole = Siesta().progress((DATA / "water_single" / "output.out").read_text())
    assert (whole.done, whole.of, whole.what) == (12, 1000, "SCF iteration")
    assert Siesta().progress("nothing yet") is None
    assert Siesta().progress("   scf:    7     -465.8").monitor is None


def test_the_field_components_can_be_swept():
    sweepable = {parameter.name for parameter in Siesta.parameters if parameter.sweepable}
    assert {"field_x", "field_y", "field_z", "mesh_cutoff"} <= sweepable
    for parameter in Siesta.parameters:
        assert not parameter.sweepable or parameter.kind in (Kind.NUMBER, Kind.INTEGER, Kind.CHOICE)
        assert parameter.group


def test_the_analyses_are_in_order_and_charts_find_their_columns():
    analyses = order_analyses(Siesta.analyses, [analysis.name for analysis in Siesta.analyses])
    names = [analysis.name for analysis in analyses]
    assert names.index("dipole") < names.index("polarizability")


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "charge": st.floats(-5, 5),
            "mesh_cutoff": st.floats(20, 3000),
            "field_x": st.floats(-1, 1),
            "field_y": st.floats(-1, 1),
            "scf_tolerance": st.floats(1e-9, 0.1),
            "run_type": st.sampled_from(["none", "CG", "Verlet", "Nose", "Anneal"]),
            "spin": st.sampled_from(["non-polarized", "polarized", "non-colinear"]),
            "functional": st.sampled_from(["PBE", "LDA", "BLYP"]),
        },
    )
)
def test_any_accepted_form_gives_readable_input(values):
    text = prepared(values)
    assert fdf.read(fdf.write(fdf.read(text))).content == fdf.read(text).content
    assert text == prepared(values)
