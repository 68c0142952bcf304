"""One good file of each format that is read."""

from __future__ import annotations

from calculations.software.structure import WATER, Atom, Structure

POSCAR = """Silicon
5.43
0.0 0.5 0.5
0.5 0.0 0.5
0.5 0.5 0.0
Si
2
Direct
0.00 0.00 0.00
0.25 0.25 0.25
"""
CIF = """data_NaCl
_cell_length_a 5.640(1)
_cell_length_b 5.640(1)
_cell_length_c 5.640(1)
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'F m -3 m'
_symmetry_Int_Tables_number 225
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Na1 Na+ 0 0 0 1
Cl1 Cl- 0.5 0.5 0.5 1
"""
PDB = """TITLE     WATER
HETATM    1  O   HOH A   1       0.000   0.000   0.000  1.00  0.00           O
HETATM    2  H1  HOH A   1       0.757   0.586   0.000  1.00  0.00           H
HETATM    3  H2  HOH A   1      -0.757   0.586   0.000  1.00  0.00           H
END
"""
FDF = """SystemName   silicon
NumberOfAtoms 2
NumberOfSpecies 1
%block ChemicalSpeciesLabel
  1  14  Si
%endblock ChemicalSpeciesLabel
LatticeConstant 5.43 Ang
%block LatticeVectors
  0.0 0.5 0.5
  0.5 0.0 0.5
  0.5 0.5 0.0
%endblock LatticeVectors
AtomicCoordinatesFormat Fractional
%block AtomicCoordinatesAndAtomicSpecies
  0.00 0.00 0.00 1  # the first
  0.25 0.25 0.25 1
%endblock AtomicCoordinatesAndAtomicSpecies
"""
XSF = """CRYSTAL
PRIMVEC
 0.0000 2.7150 2.7150
 2.7150 0.0000 2.7150
 2.7150 2.7150 0.0000
PRIMCOORD
 2 1
 14 0.0000 0.0000 0.0000
 14 1.3575 1.3575 1.3575
"""
XV = """ 0.0 5.130606430 5.130606430 0.0 0.0 0.0
 5.130606430 0.0 5.130606430 0.0 0.0 0.0
 5.130606430 5.130606430 0.0 0.0 0.0 0.0
 2
 1 14 0.0 0.0 0.0 0.0 0.0 0.0
 1 14 2.565303215 2.565303215 2.565303215 0.0 0.0 0.0
"""
EXTXYZ = """2
Lattice="0 2.715 2.715 2.715 0 2.715 2.715 2.715 0" Properties=id:I:1:species:S:1:pos:R:3 energy=-1
7 Si 0 0 0
8 Si 1.3575 1.3575 1.3575
"""
FILES = {
    "xyz": WATER,
    "extxyz": EXTXYZ,
    "cif": CIF,
    "vasp": POSCAR,
    "pdb": PDB,
    "fdf": FDF,
    "xsf": XSF,
    "xv": XV,
}


def structure(
    symbols: list[str],
    places: list[tuple[float, float, float]],
    cell: tuple[tuple[float, float, float], ...] | None = None,
) -> Structure:
    atoms = tuple(Atom(s, (p[0], p[1], p[2])) for s, p in zip(symbols, places, strict=True))
    return Structure(atoms, "", cell)  # type: ignore[arg-type]
