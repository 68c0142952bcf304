"""What moved, what the parts of a density of states are, and the charges of atoms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calculations.software.siesta import Siesta, moves, spectra
from calculations.software.siesta.output import read_output

DATA = Path(__file__).parents[3] / "data" / "siesta"
PDOS = DATA / "silicon_bands_dos" / "si.PDOS.xml"
HIRSHFELD = """
Hirshfeld Net Atomic Populations:
Atom #     Qatom  Species
     1   -0.30811  O
     2    0.15402  H
     3    0.15409  H

"""
MULLIKEN = """
mulliken: Atomic and Orbital Populations:

Species: O
Atom  Qatom  Qorb
               2s      2s      2py     2pz     2px     2py     2pz     2px
               2Pdxy   2Pdyz   2Pdz2   2Pdxz   2Pdx2-y2
   1  6.405   0.877   0.855   0.791   0.915   0.768   0.763   0.801   0.661
              0.001   0.003   0.001   0.002   0.001

Species: H
Atom  Qatom  Qorb
               1s      1s      1Ppy    1Ppz    1Ppx
   2  0.797   0.542   0.183   0.032   0.018   0.022
   3  0.798   0.542   0.184   0.032   0.018   0.022

mulliken: Qtot =        8.000
"""
MDE = """#   Step     T (K)     E_KS (eV)    E_tot (eV)   Vol (A^3)    P (kBar)
         1    300.00    -465.81618    -465.73863     1000.000       -0.214
         2    271.53    -465.80911    -465.73892     1000.000       -0.301
         3   *******    -465.80000    -465.73901     1000.000       -0.322
"""


def test_the_parts_add_up_to_the_density_of_states():
    results = Siesta().extract(DATA / "silicon_bands_dos")
    table, dos = results.dataset("pdos"), results.dataset("dos")
    assert [c.label for c in table.columns[1:]] == ["Si", "Si s", "Si p", "Si d"]
    assert np.allclose(table.column("Si").values, dos.column("dos").values, atol=2e-5)


def test_the_parts_are_those_that_sisl_reads():
    sisl = pytest.importorskip("sisl")
    geometry, energies, states = sisl.get_sile(PDOS).read_data()
    found = spectra.read(PDOS)
    fermi = -4.08993551344  # to which sisl moves the scale
    assert np.allclose(np.array(found.energies) - fermi, energies, atol=1e-6)
    shells = [orbital.l for atom in geometry.atoms for orbital in atom.orbitals]
    for shell in range(3):
        theirs = states[..., np.array(shells) == shell, :]
        total = theirs.reshape(-1, len(energies)).sum(axis=0)
        assert np.allclose(found.parts["Si", shell], total, atol=1e-8)


def test_both_spellings_of_the_file_are_read_alike(tmp_path):
    other = tmp_path / "si.PDOS"
    text = PDOS.read_text().replace('" ', '" \n ').replace("<orbital ", "<orbital \n ")
    other.write_text(text)
    assert spectra.read(other).parts == spectra.read(PDOS).parts


def test_two_spins_are_added(tmp_path):
    path = tmp_path / "x.PDOS"
    head = "<pdos>\n<nspin>2</nspin>\n<energy_values>\n 1.0 2.0\n</energy_values>\n"
    orbital = '<orbital species="O" l="1">\n<data>\n 1 2\n 3 4\n</data>\n</orbital>\n'
    path.write_text(head + orbital)
    assert spectra.read(path).parts == {("O", 1): [3.0, 7.0]}


@pytest.mark.parametrize("part", [0.02, 0.3, 0.7, 0.999])
def test_an_orbital_that_is_cut_is_left_out(tmp_path, part):
    text = PDOS.read_text()
    path = tmp_path / "x.PDOS.xml"
    path.write_text(text[: int(len(text) * part)])
    found = spectra.read(path)
    assert found is None or all(len(v) == len(found.energies) for v in found.parts.values())


def test_the_way_begins_with_the_input_and_ends_with_the_last_geometry():
    results = Siesta().extract(DATA / "water_relax")
    table = results.dataset("trajectory")
    assert [c.name for c in table.columns] == ["frame", "symbol", "x", "y", "z"]
    assert set(table.column("frame").values) == set(range(9))
    assert table.column("y").values[:3] == (0.0, 0.586, 0.586)
    final = results.dataset("final_geometry")
    assert final.column("symbol").values == ("O", "H", "H")
    last = [table.column(axis).values[-3:] for axis in "xyz"]
    assert np.allclose(last, [final.column(axis).values for axis in "xyz"], atol=2e-6)
    assert results.dataset("final_cell").column("x").values == (10.0, 0.0, 0.0)


def test_what_did_not_move_has_no_way():
    results = Siesta().extract(DATA / "water_single")
    assert results.dataset("trajectory") is None
    assert results.dataset("final_geometry") is None


def test_a_long_way_is_thinned_with_both_ends(tmp_path):
    frames = "".join(f"2\n\nH 0 0 0\nH 0 0 {1 + i / 1000}\n" for i in range(5000))
    (tmp_path / "x.ANI").write_text(frames)
    table, count = moves.trajectory(tmp_path, tmp_path / "x.ANI")
    numbers = sorted(set(table.column("frame").values))
    assert count == 5000
    assert (numbers[0], numbers[-1]) == (0, 4999)
    assert 100 <= len(numbers) <= moves.MAX_FRAMES


def test_many_atoms_make_fewer_frames(tmp_path):
    atoms = "".join(f"H {i} 0 0\n" for i in range(2000))
    (tmp_path / "x.ANI").write_text(f"2000\n\n{atoms}" * 120)
    table, _ = moves.trajectory(tmp_path, tmp_path / "x.ANI")
    assert len(table.column("frame").values) <= moves.MAX_ROWS + 2000


def test_cells_of_a_way_are_read_from_the_output(tmp_path):
    block = "outcell: Unit cell vectors (Ang):\n {0} 0 0\n 0 {0} 0\n 0 0 {0}\n\n"
    (tmp_path / "output.out").write_text("".join(block.format(f"{x}.5") for x in (4, 5, 6)))
    table = moves.cells(tmp_path / "output.out", 3, 2)
    assert table.column("ax").values == (4.5, 5.5, 6.5)
    assert moves.cells(tmp_path / "output.out", 4, 2) is None


def test_dynamics_are_a_series_over_the_steps(tmp_path):
    (tmp_path / "x.MDE").write_text(MDE)
    table = moves.dynamics(tmp_path / "x.MDE")
    assert table.column("temperature").values == (300.0, 271.53, None)
    assert table.column("energy").unit == "eV"


def test_charges_of_each_method_stand_beside_the_atoms(tmp_path):
    (tmp_path / "output.out").write_text("head\n" + HIRSHFELD + MULLIKEN + "Job completed\n")
    report = read_output(tmp_path / "output.out")
    table = report.populations.dataset(["O", "H", "H"])
    assert table.column("charge_hirshfeld").values == (-0.30811, 0.15402, 0.15409)
    assert table.column("charge_mulliken").values == (6.405, 0.797, 0.798)
    assert table.column("symbol").values == ("O", "H", "H")
    assert report.completed is not None


def test_mulliken_populations_of_both_spins_are_added(tmp_path):
    head, _, rest = MULLIKEN.partition("\n\n")
    both = f"{head}\n\nmulliken: Spin UP\n{rest}\nmulliken: Spin DOWN\n{rest}"
    (tmp_path / "output.out").write_text(both)
    table = read_output(tmp_path / "output.out").populations.dataset(["O", "H", "H"])
    assert table.column("charge_mulliken").values == (12.81, 1.594, 1.596)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["x.ANI", "x.MDE", "x.PDOS.xml", "output.out"]),
    st.integers(0, 4000),
    st.binary(max_size=60),
)
def test_garbled_files_are_survived(tmp_path_factory, name, place, noise):
    folder = tmp_path_factory.mktemp("garbled")
    whole = {
        "x.ANI": (DATA / "water_relax" / "water.ANI").read_bytes(),
        "x.MDE": MDE.encode(),
        "x.PDOS.xml": PDOS.read_bytes()[:9000],
        "output.out": (HIRSHFELD + MULLIKEN).encode(),
    }
    for file, content in whole.items():
        cut = content[:place] + noise if file == name else content
        (folder / file).write_bytes(cut)
    Siesta().extract(folder)


def test_one_process_for_each_core_has_no_threads_beside():
    assert Siesta().environment({"launcher": "mpirun -n {cores}"}) == {"OMP_NUM_THREADS": "1"}
    assert Siesta().environment({}) == {}
