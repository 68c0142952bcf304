"""From the form to the input of pw.x: what is written, what is refused, what is started."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calculations.software.base import Resources
from calculations.software.espresso.inputs import DENSITY
from calculations.software.espresso.namelists import read
from calculations.software.espresso.parameters import PARAMETERS
from calculations.software.espresso.raw import OWNED, OWNED_CARDS
from calculations.software.parameters import InvalidParameters, Kind
from calculations.software.registry import get_software
from tests.calculations.software.espresso.recorded import (
    DATA,
    ESPRESSO,
    HYDROGEN,
    SILICON,
    checked,
)

VECTORS = "0 2.7 2.7\n2.7 0 2.7\n2.7 2.7 0"


def document(carried=(), name="input.in", **values):
    return read(ESPRESSO.prepare(checked(**values), carried)[name])


def errors(**values):
    with pytest.raises(InvalidParameters) as refusal:
        checked(**values)
    return refusal.value.errors


def test_it_is_registered():
    assert get_software("espresso").label == "Quantum ESPRESSO"


def test_the_form_as_it_opens_can_be_run():
    parameters = checked()
    assert ESPRESSO.needed_files(parameters) == ("O.UPF", "H.UPF")
    assert list(ESPRESSO.prepare(parameters)) == ["input.in"]
    names = [parameter.name for parameter in PARAMETERS]
    assert len(set(names)) == len(names)


def test_the_input_of_water_is_written_out_in_full():
    text = ESPRESSO.prepare(checked(pseudo_files="O O.pbe-rrkjus.UPF", ecutrho=240))["input.in"]
    assert text == (
        "&CONTROL\n"
        "  calculation = 'scf'\n"
        "  prefix = 'espresso'\n"
        "  outdir = './'\n"
        "  disk_io = 'low'\n"
        "  pseudo_dir = './'\n"
        "  tprnfor = .true.\n"
        "  tstress = .false.\n"
        "/\n"
        "&SYSTEM\n"
        "  ibrav = 1\n"
        "  celldm(1) = 12.0\n"
        "  nat = 3\n"
        "  ntyp = 2\n"
        "  ecutwfc = 30.0\n"
        "  ecutrho = 240.0\n"
        "  occupations = 'fixed'\n"
        "/\n"
        "&ELECTRONS\n"
        "  conv_thr = 1e-08\n"
        "  mixing_beta = 0.7\n"
        "  mixing_mode = 'plain'\n"
        "  diagonalization = 'david'\n"
        "  electron_maxstep = 100\n"
        "/\n"
        "ATOMIC_SPECIES\n"
        "  O 0.0 O.pbe-rrkjus.UPF\n"
        "  H 0.0 H.UPF\n"
        "ATOMIC_POSITIONS angstrom\n"
        "  O 0.0000000000 0.0000000000 0.0000000000\n"
        "  H 0.7570000000 0.5860000000 0.0000000000\n"
        "  H -0.7570000000 0.5860000000 0.0000000000\n"
        "K_POINTS gamma\n"
    )


@pytest.mark.parametrize("folder", ["silicon_lattice_sweep/celldm_10.2", "silicon_bands"])
def test_the_recorded_inputs_of_silicon_can_be_written_by_the_form(folder):
    bands = folder == "silicon_bands"
    recorded = read((DATA / folder / ("scf.in" if bands else "input.in")).read_text())
    values = SILICON | ({"calculation": "bands", "bands_computed": 8} if bands else {})
    made = document(name="scf.in" if bands else "input.in", stress=not bands, **values)
    for setting in recorded.namelists[1].settings:
        assert made.get("SYSTEM", setting.key) == setting.value
    assert made.get("ELECTRONS", "conv_thr") == recorded.get("ELECTRONS", "conv_thr")
    assert made.card("K_POINTS") == recorded.card("K_POINTS")
    for name in ("ATOMIC_POSITIONS", "ATOMIC_SPECIES"):
        assert made.card(name).option == recorded.card(name).option
        for row, other in zip(made.card(name).rows, recorded.card(name).rows, strict=True):
            assert row.split()[0] == other.split()[0]


def test_bands_are_two_steps_of_one_folder():
    parameters = checked(**SILICON, calculation="bands", bands_computed=8)
    files = ESPRESSO.prepare(parameters, [DENSITY])
    assert list(files) == ["run_steps.py", "scf.in", "bands.in"]
    scf, bands = read(files["scf.in"]), read(files["bands.in"])
    for key in ("prefix", "outdir"):
        assert scf.get("CONTROL", key) == bands.get("CONTROL", key)
    assert scf.namelists[1] == bands.namelists[1]
    assert (scf.get("CONTROL", "calculation"), bands.get("CONTROL", "calculation")) == (
        "scf",
        "bands",
    )
    assert scf.get("ELECTRONS", "startingpot") == "file"
    assert bands.get("ELECTRONS", "startingpot") is None
    path = bands.card("K_POINTS")
    assert path.option == "crystal_b"
    assert path.rows[0] == "3"
    assert path.rows[1].split() == ["0.5000000000", "0.5000000000", "0.5000000000", "20"]
    assert path.notes == ("", "L", "\\Gamma", "X")
    compile(files["run_steps.py"], "run_steps.py", "exec")


def test_bands_of_a_molecule_have_no_gamma_trick():
    """The step of the bands reads the density with complex plane waves."""
    assert document(name="scf.in", calculation="bands").card("K_POINTS").rows == ("1 1 1 0 0 0",)


def test_relaxations_say_when_they_end():
    relax = document(**HYDROGEN, nstep=7, force_tolerance=0.0005)
    assert relax.get("CONTROL", "nstep") == 7
    assert relax.get("CONTROL", "forc_conv_thr") == 0.0005
    assert relax.get("IONS", "ion_dynamics") == "bfgs"
    assert [n.name for n in relax.namelists][-1] == "IONS"
    cell = document(**SILICON, calculation="vc-relax", pressure=10, cell_freedom="volume")
    assert cell.get("CELL", "press") == 10.0
    assert cell.get("CELL", "cell_dofree") == "volume"


def test_only_a_carried_density_is_started_from():
    values = {"pseudopotentials": "cluster"}
    assert document(**values).get("ELECTRONS", "startingpot") is None
    carried = [DENSITY, "espresso.save/paw.txt"]
    assert document(carried, **values).get("ELECTRONS", "startingpot") == "file"
    assert document(["other.dat"], **values).get("ELECTRONS", "startingpot") is None
    assert DENSITY in ESPRESSO.carry


def test_the_scale_stretches_cell_and_atoms_alike():
    scaled = document(scale=1.1, pseudopotentials="cluster")
    assert scaled.get("SYSTEM", "celldm(1)") == pytest.approx(13.2)
    assert scaled.card("ATOMIC_POSITIONS").rows[1].split()[1] == "0.8327000000"
    relative = document(**SILICON, scale=1.1)
    assert relative.get("SYSTEM", "celldm(1)") == pytest.approx(11.22)
    assert relative.card("ATOMIC_POSITIONS").rows[1].split()[1] == "0.2500000000"
    own = SILICON | {"lattice": "vectors", "cell": VECTORS}
    vectors = document(**own, scale=0.5).card("CELL_PARAMETERS")
    assert vectors.option == "angstrom"
    assert vectors.rows[0] == "0.0000000000 1.3500000000 1.3500000000"


def test_each_lattice_has_its_number_and_its_ratios():
    made = document(lattice="orthorhombic", b_over_a=1.2, c_over_a=1.5)
    assert [made.get("SYSTEM", f"celldm({i})") for i in (1, 2, 3)] == [12.0, 1.2, 1.5]
    assert made.get("SYSTEM", "ibrav") == 8
    made = document(lattice="hexagonal", c_over_a=1.6)
    assert [made.get("SYSTEM", f"celldm({i})") for i in (1, 2, 3)] == [12.0, None, 1.6]
    own = document(lattice="vectors", cell="10 10 10")
    assert own.get("SYSTEM", "celldm(1)") is None
    assert own.get("SYSTEM", "ibrav") == 0


def test_the_vectors_of_extended_xyz_are_taken():
    text = '2\nLattice="0 2.7 2.7 2.7 0 2.7 2.7 2.7 0"\nSi 0 0 0\nSi 1.35 1.35 1.35'
    made = document(structure=text, lattice="vectors")
    assert made.card("CELL_PARAMETERS").rows[2].split()[0] == "2.7000000000"
    assert "own vectors" in errors(structure=text)["lattice"]


def test_spin_and_smearing_are_written_for_each_element():
    iron = document(
        structure="O 0 0 0\nFe 0 0 2",
        spin="2",
        magnetization="fe 0.4",
        occupations="smearing",
        smearing="marzari-vanderbilt",
        degauss=0.02,
        charge=1,
        functional="PBEsol",
    )
    system = {s.key: s.value for s in iron.namelists[1].settings}
    assert system["starting_magnetization(2)"] == 0.4
    assert "starting_magnetization(1)" not in system
    assert system["nspin"] == 2
    assert system["degauss"] == 0.02
    assert system["tot_charge"] == 1.0
    assert system["input_dft"] == "PBESOL"


@pytest.mark.parametrize(
    ("values", "field", "said"),
    [
        ({"structure": "Xx 0 0 0"}, "structure", "line 1"),
        ({"structure": "H 0 0 0\nH 0 0 0.1"}, "structure", "closer than 0.3"),
        ({"structure": "H 0 0 0\nH 0 0 0", "units": "crystal"}, "structure", "one place"),
        ({"lattice": "vectors"}, "cell", "three lines"),
        ({"lattice": "vectors", "cell": "1 2"}, "cell", "three"),
        ({"cell": VECTORS}, "cell", "own vectors"),
        ({"c_over_a": 1.5}, "c_over_a", "not used"),
        ({"ecutwfc": 40, "ecutrho": 100}, "ecutrho", "160 Ry"),
        ({"pseudo_files": "O"}, "pseudo_files", "line 1"),
        ({"pseudo_files": "O O.UPF\nO O2.UPF"}, "pseudo_files", "already in line 1"),
        ({"pseudo_files": "O ../O.UPF"}, "pseudo_files", "no file name"),
        ({"pseudo_files": "\nO /etc/passwd"}, "pseudo_files", "line 2"),
        ({"pseudo_pattern": "../{element}"}, "pseudo_pattern", "no file name"),
        ({"pseudo_pattern": "{element} x"}, "pseudo_pattern", "no file name"),
        ({"magnetization": "O 0.5"}, "magnetization", "polarised"),
        ({"total_magnetization": 1}, "total_magnetization", "polarised"),
        ({"spin": "2"}, "total_magnetization", "smearing"),
        ({"spin": "2", "occupations": "smearing"}, "magnetization", "must not be 0"),
        ({"spin": "2", "magnetization": "O 2"}, "magnetization", "from -1 to 1"),
        ({"spin": "2", "magnetization": "O nan"}, "magnetization", "from -1 to 1"),
        ({"spin": "2", "magnetization": "Fe 1"}, "magnetization", "not in the structure"),
        ({"calculation": "bands", "band_path": "0 0 0 1"}, "band_path", "two k-points"),
        ({"calculation": "bands", "band_path": "0 0 0 1 X\n0 0 x 1"}, "band_path", "line 2"),
        ({"extra_input": "&SYSTEM\n"}, "extra_input", "never closed"),
        ({"extra_input": "&IONS\n/"}, "extra_input", "not read in"),
        ({"extra_input": "&PHONON\n/"}, "extra_input", "not used here"),
        ({"calculation": "md"}, "calculation", "not one of"),
    ],
)
def test_what_cannot_be_is_refused_with_its_field(values, field, said):
    found = errors(**values)
    assert list(found) == [field]
    assert said in found[field]


def test_raw_input_is_taken_into_its_namelist():
    extra = (
        "&SYSTEM\n vdw_corr = 'grimme-d3'\n/\n&ELECTRONS mixing_ndim = 4 /\nHUBBARD atomic\n U 1"
    )
    made = document(extra_input=extra)
    assert made.get("SYSTEM", "vdw_corr") == "grimme-d3"
    assert made.get("ELECTRONS", "mixing_ndim") == 4
    assert made.card("HUBBARD").rows == ("U 1",)


@pytest.mark.parametrize(
    ("namelist", "key"), [(name, key) for name in OWNED for key in sorted(OWNED[name])]
)
def test_a_keyword_of_the_portal_is_refused_with_its_line(namelist, key):
    text = f"&{namelist.lower()}\n\n  {key.upper()}(1) = 1\n/"
    found = errors(extra_input=text, calculation="vc-relax")["extra_input"]
    assert found.startswith(f"line 3: {key}(1) is set by the portal")


def test_every_refused_line_is_named():
    text = "&CONTROL\n outdir = '/tmp'\n/\n" + "".join(f"{card}\n" for card in sorted(OWNED_CARDS))
    found = errors(extra_input=text)["extra_input"]
    for line in range(2, 8):
        assert (f"line {line}: " in found) is (line != 3)


def test_every_keyword_that_is_written_is_owned():
    """Else raw input could set it a second time."""
    for values in ({}, {"calculation": "vc-relax"}, {"calculation": "bands"}):
        files = ESPRESSO.prepare(checked(**SILICON, **values), [DENSITY])
        for name in files:
            for namelist in read(files[name]).namelists if name.endswith(".in") else ():
                assert {setting.name for setting in namelist.settings} <= OWNED[namelist.name]


@pytest.mark.parametrize("key", ["outdir", "wfcdir", "pseudo_dir", "prefix"])
def test_no_raw_line_leads_out_of_the_folder(key):
    assert "set by the portal" in errors(extra_input=f"&CONTROL {key}='/tmp' /")["extra_input"]


def test_what_is_started_follows_the_site():
    parameters, site = checked(), {"executable": "/opt/pw.x", "launcher": "srun -n {cores}"}
    assert ESPRESSO.command(parameters, Resources(), {}) == ["pw.x", "-in", "input.in"]
    assert ESPRESSO.command(parameters, Resources(cores=4), site) == [
        *("srun", "-n", "4"),
        *("/opt/pw.x", "-in", "input.in"),
    ]
    bands = checked(**SILICON, calculation="bands")
    assert ESPRESSO.command(bands, Resources(), {}) == [sys.executable, "run_steps.py", "pw.x"]
    assert ESPRESSO.command(bands, Resources(), {"python": "py3"})[0] == "py3"


def test_pseudopotentials_on_the_cluster_are_found_by_its_setting():
    parameters = checked(**SILICON)
    assert ESPRESSO.needed_files(parameters) == ()
    assert read(ESPRESSO.prepare(parameters)["input.in"]).get("CONTROL", "pseudo_dir") is None
    assert ESPRESSO.environment({"pseudo_dir": "/opt/pseudo"}) == {"ESPRESSO_PSEUDO": "/opt/pseudo"}
    assert ESPRESSO.environment({}) == {}
    parallel = ESPRESSO.environment({"launcher": "mpirun -n {cores}"})
    assert parallel == {"OMP_NUM_THREADS": "1"}
    uploaded = checked(**SILICON | {"pseudopotentials": "uploaded"})
    assert ESPRESSO.needed_files(uploaded) == ("Si.pz-vbc.UPF",)


NUMBERS = [p for p in PARAMETERS if p.kind in (Kind.NUMBER, Kind.INTEGER) and p.sweepable]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_allowed_number_gives_an_input_that_reads_back(data):
    values = dict(SILICON, calculation=data.draw(st.sampled_from(["scf", "vc-relax"])))
    for parameter in data.draw(st.lists(st.sampled_from(NUMBERS), max_size=5, unique=True)):
        low, high = parameter.minimum, parameter.maximum
        values[parameter.name] = data.draw(
            st.floats(low, high)
            if parameter.kind is Kind.NUMBER
            else st.integers(int(low), int(high))
        )
    try:
        parameters = checked(**values)
    except InvalidParameters:
        return
    text = ESPRESSO.prepare(parameters)["input.in"]
    assert text == ESPRESSO.prepare(parameters)["input.in"]
    made = read(text)
    assert made.get("SYSTEM", "ecutwfc") == float(parameters["ecutwfc"])
    assert len(text.splitlines()) < 60
