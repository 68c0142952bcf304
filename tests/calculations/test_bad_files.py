"""Broken files to every reader: never a traceback, never a valid run, always words with a line."""

from __future__ import annotations

import json
import math
import random
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from calculations.search import parse
from calculations.software.base import NotComputable, Software
from calculations.software.espresso import namelists
from calculations.software.parameters import InvalidParameters, Kind
from calculations.software.pseudopotential import PseudopotentialError, read_head
from calculations.software.registry import get_software
from calculations.software.results import Exit, Verdict
from calculations.software.siesta import fdf, importing, raw, spectra
from calculations.software.structure import StructureError, read_xyz
from calculations.structures import reading
from calculations.structures.formats import FORMATS
from calculations.sweeps.planner import plan
from calculations.sweeps.reading import InvalidSweep, read_sweep
from labportal.common.errors import DomainError

DATA = Path(__file__).parents[1] / "data"
BAD = DATA / "bad"
FILES = sorted(path for path in BAD.rglob("*") if path.is_file())
FUZZ_SECONDS = 20.0
ENDINGS = (Exit(0), Exit(1), Exit(None), Exit(139, signal=11), Exit(0, timed_out=True))
# What the programs leave under fixed names, in which a bad file may stand.
NAMES = (
    *("output.out", "x.EIG", "x.bands", "x.DOS", "x.FA", "x.XV", "x.MDE", "x.ANI", "MESSAGES"),
    *("x.PDOS.xml", "results.json", "stderr.txt", "bands.in", "CLOCK", "espresso.xml"),
)


def named(path: Path) -> str:
    return str(path.relative_to(BAD))


def text_of(path: Path) -> str:
    return path.read_bytes().decode("utf-8", errors="replace")


def plugins() -> list[Software]:
    return [get_software(name) for name in ("siesta", "espresso", "pyscf", "noop")]


def as_fdf(path: Path) -> None:
    raw.read_extra(text_of(path))


def as_input(path: Path) -> None:
    importing.read_input(text_of(path))


def as_namelists(path: Path) -> None:
    namelists.read(text_of(path))


def as_structure(path: Path) -> None:
    reading.read(path.read_bytes(), name=path.name)


def as_pseudopotential(path: Path) -> None:
    read_head(path.name, path.read_bytes())


def as_xyz(path: Path) -> None:
    read_xyz(text_of(path))


Reader = tuple[Callable[[Path], None], tuple[type[Exception], ...]]
READERS: dict[str, Reader] = {
    "structures": (as_structure, (StructureError,)),
    "fdf": (as_fdf, (fdf.FdfError,)),
    "namelists": (as_namelists, (namelists.NamelistError,)),
    "pseudopotentials": (as_pseudopotential, (PseudopotentialError,)),
}
ALL_READERS: list[Reader] = [
    *READERS.values(),
    (as_input, (fdf.FdfError, StructureError)),
    (as_xyz, (StructureError,)),
]
# Odd, but nothing that a reader of syntax alone can find.
HARMLESS = {
    *("fdf/label_alone.fdf", "fdf/latin_1.fdf", "fdf/open_quote.fdf"),
    "structures/grid_without_end.xsf",  # its atoms are whole
}
TOLD = [p for p in FILES if p.relative_to(BAD).parts[0] in READERS and named(p) not in HARMLESS]


@pytest.mark.parametrize("path", TOLD, ids=named)
def test_its_own_reader_says_what_is_wrong_and_where(path: Path) -> None:
    read, errors = READERS[path.relative_to(BAD).parts[0]]
    with pytest.raises(errors) as refused:
        read(path)
    words = str(refused.value)
    assert len(words.split()) >= 2
    assert len(words) < 1000 and "Traceback" not in words
    if line := re.search(r"@(\d+)\.", path.name):
        assert re.search(rf"\bline {line.group(1)}\b", words), words


@pytest.mark.parametrize("path", FILES, ids=named)
def test_every_reader_survives_every_file(path: Path) -> None:
    for read, errors in ALL_READERS:
        try:
            read(path)
        except errors as error:
            assert str(error).strip()
    for form in FORMATS:
        try:
            reading.read(path.read_bytes(), format=form)
        except StructureError as error:
            assert str(error).strip()


def examine(software: Software, folder: Path, ending: Exit) -> Verdict:
    """Everything that happens to a run's folder; only what says NotComputable may be raised."""
    outcome, results = software.assess(folder, ending)
    assert software.judge(folder, ending) == outcome
    assert outcome.message and outcome.code
    for analysis in software.analyses:
        if analysis.scope == "run":
            try:
                results = results + analysis.compute(results, {})
            except NotComputable as error:
                assert str(error)
    document = json.dumps([outcome.to_json(), results.to_json()])
    assert len(document) < 6 * 2**20
    log = folder / software.log_file
    tail = log.read_bytes()[-20_000:].decode("utf-8", errors="replace") if log.is_file() else ""
    software.progress(tail)
    return outcome.verdict


@pytest.mark.parametrize(
    "folder", sorted(p for p in (BAD / "runs").glob("*/*")), ids=lambda p: str(p.relative_to(BAD))
)
def test_a_broken_run_is_never_valid(folder: Path) -> None:
    software = get_software(folder.parent.name)
    for ending in ENDINGS:
        assert examine(software, folder, ending) is not Verdict.VALID


@pytest.mark.parametrize("path", FILES, ids=named)
def test_a_bad_file_in_the_place_of_any_output_is_survived(path: Path, tmp_path: Path) -> None:
    content = path.read_bytes()
    for name in NAMES:
        (tmp_path / name).write_bytes(content)
    for software in plugins()[:3]:
        assert examine(software, tmp_path, Exit(0)) is not Verdict.VALID
    for name in NAMES[1:]:
        (tmp_path / name).unlink()
    spectra.read(path)


@pytest.mark.parametrize("path", FILES, ids=named)
def test_a_bad_file_in_any_field_of_the_form_is_refused_in_words(path: Path) -> None:
    text = text_of(path)
    for software in plugins():
        for parameter in software.parameters:
            if parameter.kind not in (Kind.TEXT, Kind.NUMBER, Kind.INTEGER, Kind.CHOICE):
                continue
            try:
                checked = software.check({parameter.name: text})
            except InvalidParameters as error:
                assert all(str(words).strip() for words in error.errors.values())
                continue
            files = software.prepare(checked)
            assert all(isinstance(content, str) for content in files.values())
            software.needed_files(checked)
            software.structure(checked)


SWEEPS = sorted((BAD / "sweeps").iterdir())


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_a_sweep_that_means_nothing_is_refused_at_its_place(path: Path) -> None:
    said = json.loads(path.read_text())
    noop, siesta = get_software("noop"), get_software("siesta")
    with pytest.raises(InvalidSweep) as refused:
        read_sweep(noop, said, find=lambda keys: [])
    assert str(refused.value).strip()
    try:
        stored = read_sweep(siesta, said, find=lambda keys: [])
    except InvalidSweep:
        return
    plan(siesta, siesta.check({}), stored)


@pytest.mark.parametrize(
    "text", (BAD / "searches.txt").read_bytes().decode().split("\n"), ids=lambda text: text[:20]
)
def test_a_search_that_means_nothing_is_words_or_a_refusal(text: str) -> None:
    parse("gap>5 eV")  # loads the units
    began = time.process_time()
    try:
        parse(text)
    except DomainError as error:
        assert error.message.strip()
    assert time.process_time() - began < 1


def test_huge_files_are_refused_before_they_are_read() -> None:
    rows = b"O 0.0 0.0 0.0\n" * 700_000
    began = time.process_time()
    with pytest.raises(StructureError, match="MiB"):
        reading.read(b"700000\nhuge\n" + rows, name="huge.xyz")
    with pytest.raises(StructureError, match="longer"):
        reading.read("1\n" + "x" * 4_000_000 + "\nO 0 0 0\n", name="line.xyz")
    assert time.process_time() - began < 2


RECORDED = {
    software: sorted(path.parent for path in (DATA / software).rglob("output.out"))
    for software in ("siesta", "espresso")
}
JUNK = (b"\0", b"\xff\xfe", b"********", b" NaN ", b"\n", b"-", b"1e999", b"%block", b"\xe9", b"")


def mutated(content: bytes, chance: random.Random) -> bytes:
    """Cut, flip, double, move or insert, a few times."""
    data = bytearray(content)
    for _ in range(chance.randint(1, 6)):
        place = chance.randint(0, len(data))
        end = min(len(data), place + chance.randint(0, 400))
        match chance.randint(0, 5):
            case 0:
                del data[place:]
            case 1:
                del data[place:end]
            case 2:
                data[place:place] = data[place:end] * chance.randint(1, 3)
            case 3:
                data[place:place] = chance.choice(JUNK)
            case 4 if data and place < len(data):
                data[place] ^= 1 << chance.randint(0, 7)
            case _:
                piece = bytes(data[place:end])
                del data[place:end]
                other = chance.randint(0, len(data))
                data[other:other] = piece
    return bytes(data)


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_recorded_runs_may_be_garbled_in_any_way(name: str, tmp_path: Path) -> None:
    chance = random.Random(20_261_121)  # noqa: S311 - the same garbling each time
    software = get_software(name)
    recorded = [
        {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}
        for folder in RECORDED[name]
    ]
    deadline, rounds = time.monotonic() + FUZZ_SECONDS / 2, 0
    while time.monotonic() < deadline and rounds < 400:
        rounds += 1
        files = chance.choice(recorded)
        folder = tmp_path / str(rounds)
        folder.mkdir()
        for file, content in files.items():
            spoilt = chance.random() < 0.5
            (folder / file).write_bytes(mutated(content, chance) if spoilt else content)
        examine(software, folder, chance.choice(ENDINGS))
    assert rounds > 20


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_an_output_that_ends_too_soon_is_never_valid(name: str, tmp_path: Path) -> None:
    chance = random.Random(7)  # noqa: S311
    software = get_software(name)
    last = {"siesta": b"Job completed", "espresso": b"JOB DONE."}[name]
    for folder in RECORDED[name]:
        content = (folder / "output.out").read_bytes()
        end = content.rfind(last)
        case = tmp_path / folder.name
        shutil.copytree(folder, case)
        for place in chance.sample(range(end), 8) if end > 8 else ():
            (case / "output.out").write_bytes(content[:place])
            outcome = software.judge(case, Exit(0))
            assert outcome.verdict is not Verdict.VALID, (folder.name, place)


def test_results_of_pyscf_with_odd_numbers_stay_json(tmp_path: Path) -> None:
    pyscf: Any = get_software("pyscf")
    document = json.loads((DATA / "pyscf" / "water_sweep.json").read_text())
    assert document
    odd = {"energy": math.inf, "converged": True, "iterations": [], "dipole": [0, 0, 0]}
    odd |= {"orbitals": [], "charges": []}
    (tmp_path / "results.json").write_text(json.dumps(odd))
    assert examine(pyscf, tmp_path, Exit(0)) is Verdict.NOT_VALID
