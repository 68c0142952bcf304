"""Structure files: each format is read, and what is wrong is said with its line."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from calculations.software.structure import MAX_ATOMS, WATER, StructureError, volume
from calculations.structures.formats import FORMATS, detect
from calculations.structures.reading import MAX_BYTES, read
from calculations.structures.writing import formats_of, write
from tests.calculations.structures.samples import CIF, FDF, FILES, PDB, POSCAR, XSF, XV

SILICON = ("extxyz", "vasp", "fdf", "xsf", "xv")


@pytest.mark.parametrize("format", FILES)
def test_each_format_is_known_by_its_content_and_read(format: str) -> None:
    found = read(FILES[format], name="upload.txt")
    assert found.format == format
    assert found.structure.formula == {"cif": "Cl4Na4", "xyz": "H2O", "pdb": "H2O"}.get(
        format, "Si2"
    )


@pytest.mark.parametrize("format", SILICON)
def test_silicon_is_the_same_in_every_format(format: str) -> None:
    structure = read(FILES[format]).structure
    assert structure.atoms[1].position == pytest.approx((1.3575, 1.3575, 1.3575), abs=1e-6)
    assert structure.periodic == "TTT"
    assert abs(volume(structure.cell)) == pytest.approx(5.43**3 / 4, rel=1e-6)


@pytest.mark.parametrize("source", ["xyz", "vasp", "cif"])
@pytest.mark.parametrize("format", FORMATS)
def test_what_is_written_reads_back(source: str, format: str) -> None:
    structure = read(FILES[source]).structure
    if format not in formats_of(structure):
        with pytest.raises(StructureError, match="needs a cell"):
            write(structure, format)
        return
    back = read(write(structure, format), format=format).structure
    assert back.formula == structure.formula
    if format != "xyz" and structure.cell:
        assert abs(volume(back.cell)) == pytest.approx(abs(volume(structure.cell)), rel=1e-3)


def test_symmetry_is_read_as_ase_reads_it() -> None:
    from ase.io.cif import read_cif

    ours, theirs = read(CIF), read_cif(io.StringIO(CIF))
    assert len(ours.structure.atoms) == len(theirs) == 8
    assert ours.notes == ("The symmetry makes 8 atoms out of 2 sites.",)
    expected = {
        (s, *(p.round(4) % 5.64)) for s, p in zip(theirs.symbols, theirs.positions, strict=True)
    }
    assert {
        (a.symbol, *(round(x, 4) % 5.64 for x in a.position)) for a in ours.structure.atoms
    } == expected


def test_operations_may_be_listed_instead_of_a_group() -> None:
    listed = CIF.replace("_symmetry_space_group_name_H-M 'F m -3 m'\n", "").replace(
        "_symmetry_Int_Tables_number 225\n",
        "loop_\n_symmetry_equiv_pos_as_xyz\nx,y,z\n-x,-y,z+1/2\n",
    )
    assert read(listed).structure.formula == "Cl2Na2"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"{WATER}{WATER}", "2 frames; the last"),
        (f"{CIF}{CIF.replace('data_NaCl', 'data_other')}", "2 structures; the last, other"),
        (PDB.replace("END", "ENDMDL") + PDB, "2 models; the last"),
        (
            "ANIMSTEPS 2\n" + XSF.replace("PRIMCOORD", "PRIMCOORD 1") + XSF.partition("\n")[2],
            "2 fr",
        ),
        (PDB.replace(" H2  HOH", " H2 BHOH"), "1 atoms stand at alternate places"),
        ("%include basis.fdf\n" + FDF, "Line 1: the file 'basis.fdf' is named"),
        (
            FDF.replace("0.25 1\n", "0.25 1\n 0.5 0.5 0.5 2\n")
            .replace("1  14  Si\n", "1  14  Si\n 2 -14 ghost\n")
            .replace("Atoms 2", "Atoms 3"),
            "1 ghost",
        ),
    ],
)
def test_what_is_left_out_is_said(text: str, words: str) -> None:
    assert words in " ".join(read(text).notes)


@pytest.mark.parametrize(
    ("format_line", "rows", "place"),
    [
        ("AtomicCoordinatesFormat Ang", "1 2 3", (1, 2, 3)),
        ("AtomicCoordinatesFormat NotScaledCartesianAng", "1 2 3", (1, 2, 3)),
        ("AtomicCoordinatesFormat Bohr", "1 2 3", (0.529177, 1.058354, 1.587532)),
        ("", "1 2 3", (0.529177, 1.058354, 1.587532)),
        ("AtomicCoordinatesFormat ScaledCartesian", ".1 .2 .3", (1, 2, 3)),
        ("AtomicCoordinatesFormat ScaledByLatticeVectors", ".1 .2 .3", (1, 4, 9)),
        (
            "AtomicCoordinatesFormat Fractional\n%block AtomicCoordinatesOrigin\n.1 0 0\n"
            "%endblock AtomicCoordinatesOrigin",
            ".1 .2 .3",
            (2, 4, 9),
        ),
    ],
)
def test_fdf_coordinates_in_every_unit(
    format_line: str, rows: str, place: tuple[float, float, float]
) -> None:
    text = (
        "LatticeConstant 10 Ang\n%block LatticeParameters\n1 2 3 90 90 90\n"
        "%endblock LatticeParameters\n%block ChemicalSpeciesLabel\n1 8 O.pbe\n"
        f"%endblock ChemicalSpeciesLabel\n{format_line}\n"
        f"%block AtomicCoordinatesAndAtomicSpecies\n{rows} 1\n"
        "%endblock AtomicCoordinatesAndAtomicSpecies\n"
    )
    structure = read(text, format="fdf").structure
    assert structure.atoms[0].position == pytest.approx(place, abs=1e-5)
    assert [vector[i] for i, vector in enumerate(structure.cell)] == pytest.approx([10, 20, 30])


WRONG = [
    ("", "xyz", "is empty"),
    (b"\x00\x01\x02" * 50, "xyz", "is no text"),
    (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "", "is no text"),
    ("x" * 5000, "xyz", "line 1: is longer than"),
    (b"O 0 0 0\n" * (MAX_BYTES // 8 + 1), "xyz", "at most 5 MiB"),
    ("O 0 0 0\n", "docx", "is no format"),
    ("2\n\nO 0 0 0\n", "xyz", "line 1: 2 atoms are promised, but 1 follow"),
    ("1\n\nO 0 0 0\nH 0 0 1\n", "xyz", "line 4"),
    ("1\n\nXx 0 0 0\n", "xyz", "line 3: 'Xx' is not a chemical symbol"),
    ("1\n\nO 0 nan 0\n", "xyz", "line 3: 'nan' is out of range"),
    ("1\n\nO 0 0 1e9\n", "xyz", "line 3: atom 1 lies at"),
    ("99999\n\n" + "O 0 0 0\n", "xyz", f"at most {MAX_ATOMS}"),
    ("2\n\nO 0 0 0\nH 0 0 0.1\n", "xyz", "atoms 1 and 2 are closer"),
    ('1\nLattice="1 2"\nO 0 0 0\n', "xyz", "line 2: Lattice needs 9 numbers"),
    ("1\nProperties=pos:R:3\nO 0 0 0\n", "xyz", "line 2: Properties must name"),
    (
        CIF.replace("0.5 0.5 0.5 1", "0.5 0.5 0.5 0.5"),
        "cif",
        "line 18: site Cl1 is occupied to 0.5",
    ),
    (CIF.replace("Cl1 Cl-", "Qq1 Qq"), "cif", "line 18: 'Q' is not a chemical symbol"),
    (
        CIF.replace("Na1 Na+ 0 0 0 1", "Na1 Na+ ? 0 0 1"),
        "cif",
        "line 17: a coordinate is not known",
    ),
    (CIF.replace("Na1 Na+ 0 0 0 1", "Na1 Na+ 0 0"), "cif", "ends in the middle of a row"),
    (CIF.replace("_cell_length_b 5.640(1)\n", ""), "cif", "_cell_length_b is missing"),
    (CIF.replace("_cell_angle_beta 90", "_cell_angle_beta 190"), "cif", "line 6: _cell_angle_beta"),
    (CIF.replace("beta 90", "beta 20").replace("alpha 90", "alpha 150"), "cif", "do not fit"),
    (CIF.replace("225", "999").replace("'F m -3 m'", "?"), "cif", "space group is not understood"),
    ("data_x\n;text\n", "cif", "line 2: the text that begins here"),
    (POSCAR.replace("Si\n2", "2"), "vasp", "line 6: the elements are missing"),
    (POSCAR.replace("Si\n2\n", "Si\n2 3\n"), "vasp", "line 7: must hold a number of atoms"),
    (POSCAR.replace("Si\n2\n", "Si\n999999999\n"), "vasp", "line 7: promises 999999999"),
    (POSCAR.replace("Si\n2\n", "Si\n3\n"), "vasp", "3 atoms need a line"),
    (POSCAR.replace("0.5 0.0 0.5", "0.5 zero 0.5"), "vasp", "line 5: "),
    (POSCAR.replace("0.5 0.5 0.0", "0.0 1.0 1.0"), "vasp", "has no volume"),
    (POSCAR.replace("0.25 0.25 0.25", "0.999 0.0 0.0"), "vasp", "across the face of the cell"),
    (PDB.replace("0.757   0.586", "0.757   x.586"), "pdb", "line 3: columns 39 to 46"),
    ("HEADER\n", "pdb", "holds no lines ATOM"),
    (XSF.replace(" 2 1", " 3 1"), "xsf", "the file of the format XSF ends too early"),
    (XSF.replace(" 14 1.3575", " 300 1.3575"), "xsf", "into a file of the format XSF"),
    (XV.replace(" 2\n", " 3\n"), "xv", "format XV"),
    (XV.replace(" 1 14 2.56", " 1 x 2.56"), "xv", "line 6: "),
    (FDF.replace("0.25 1\n", "0.25 4\n"), "fdf", "line 16: species '4'"),
    (FDF.replace("Atoms 2", "Atoms 5"), "fdf", "line 2: NumberOfAtoms is 5, but 2"),
    (FDF.replace("%endblock LatticeVectors\n", ""), "fdf", "block LatticeVectors of line 8"),
    (FDF.replace("5.43 Ang", "5.43 furlong"), "fdf", "line 7: 'furlong' is no unit"),
    (FDF.replace("Fractional", "Polar"), "fdf", "line 13: AtomicCoordinatesFormat 'polar'"),
    (FDF.replace("1  14  Si", "1  201  mixed"), "fdf", "line 5: '201' is no atomic number"),
    (FDF + "%block Zmatrix\n1\n%endblock Zmatrix\n", "fdf", "line 18: Zmatrix is not read"),
]


@pytest.mark.parametrize(("content", "format", "words"), WRONG)
def test_what_is_wrong_is_said_with_its_line(content: str | bytes, format: str, words: str) -> None:
    with pytest.raises(StructureError) as caught:
        read(content, format=format)
    assert words in str(caught.value)


def test_files_that_a_file_names_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither by fdf's includes, nor by ASE, which looks for a POTCAR beside a POSCAR."""
    (tmp_path / "secret").write_text(FDF)
    (tmp_path / "POTCAR").write_text("  PAW_PBE Si 05Jan2001\n   VRHFIN =Si: s2p2\n" * 2)
    monkeypatch.chdir(tmp_path)
    for text in (
        "%include secret\n",
        f"%block AtomicCoordinatesAndAtomicSpecies < {tmp_path}/secret\n",
    ):
        with pytest.raises(StructureError, match="only this text is read"):
            read(text, format="fdf")
    with pytest.raises(StructureError, match="the elements are missing"):
        read(POSCAR.replace("Si\n2", "2").replace("Silicon", "no elements"), format="vasp")
    with pytest.raises(StructureError):
        read(str(tmp_path / "secret"))


def test_a_comment_cannot_pass_for_a_cell() -> None:
    structure = read(
        '1\nwater" Lattice="5 pbc="F F F" <b>\nO 0 0 0\n'.replace('="5', "=5")
    ).structure
    assert structure.cell is None
    assert not set("\"'=") & set(structure.comment)


@pytest.mark.parametrize(
    ("name", "text", "format"),
    [
        ("POSCAR", "x", "vasp"),
        ("run/CONTCAR.gz", "x", "vasp"),
        ("water.XV", "x", "xv"),
        ("a.cif", "x", "cif"),
        ("a.xyz", POSCAR, "vasp"),
        ("", "O 0 0 0", "xyz"),
        ("a.fdf", "MeshCutoff 200 Ry", "fdf"),
    ],
)
def test_content_decides_before_the_name(name: str, text: str, format: str) -> None:
    assert detect(text, name) == format
