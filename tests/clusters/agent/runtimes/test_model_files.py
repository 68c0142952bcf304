"""A model's tar.gz is unpacked as a whole or not at all, and never beyond its folder."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusters.agent.runtimes.base import RuntimeFailed
from clusters.agent.runtimes.model_files import MIB, Bounds, Contents, inspect, unpack

USUAL = Bounds()


def member(name: str, content: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    found = tarfile.TarInfo(name)
    found.size = len(content)
    for field, value in fields.items():
        setattr(found, field, value)
    return found, content


def packed(*members: tuple[tarfile.TarInfo, bytes], format: int = tarfile.PAX_FORMAT) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz", format=format) as archive:
        for found, data in members:
            archive.addfile(found, io.BytesIO(data))
    return content.getvalue()


def unpacked(folder: Path, content: bytes, bounds: Bounds = USUAL) -> Contents:
    archive = folder / "model.tar.gz"
    archive.write_bytes(content)
    return unpack(archive, folder / "model", bounds)


def refused(folder: Path, content: bytes, bounds: Bounds = USUAL) -> str:
    with pytest.raises(RuntimeFailed) as caught:
        unpacked(folder, content, bounds)
    assert caught.value.code == "bad_files"
    assert [path.name for path in folder.iterdir()] == ["model.tar.gz"], "something was left"
    with pytest.raises(RuntimeFailed) as again:
        inspect(io.BytesIO(content), bounds)
    assert str(again.value) == str(caught.value)
    return str(caught.value)


def test_files_and_folders_come_out_as_they_went_in(tmp_path: Path) -> None:
    content = packed(
        member("./", type=tarfile.DIRTYPE),
        member("./weights.npz", b"w" * 3_000_000),
        member("code/serve", b"#!/bin/sh\n", mode=0o4755),
        member("it's $(a) name;.txt", b"x"),
    )
    assert unpacked(tmp_path, content).files == 4
    model = tmp_path / "model"
    assert (model / "weights.npz").stat().st_size == 3_000_000
    assert (model / "weights.npz").stat().st_mode & 0o7777 == 0o644
    assert (model / "code" / "serve").stat().st_mode & 0o7777 == 0o755
    assert (model / "it's $(a) name;.txt").read_bytes() == b"x"
    assert model.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_what_an_interrupted_unpacking_left_does_no_harm(tmp_path: Path, format: int) -> None:
    left = tmp_path / ".model.new"
    left.mkdir()
    (left / "weights").write_bytes(b"half")
    unpacked(tmp_path, packed(member("d" * 60 + "/" + "w" * 90, b"whole"), format=format))
    assert not left.exists()
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["d" * 60]


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (member("link", type=tarfile.SYMTYPE, linkname="/etc/passwd"), "tar -h"),
        (member("link", type=tarfile.LNKTYPE, linkname="other"), "tar -h"),
        (member("../outside", b"x"), "leads out"),
        (member("a/../../outside", b"x"), "leads out"),
        (member("/etc/cron.d/x", b"x"), "leads out"),
        (member("null", type=tarfile.CHRTYPE), "neither a file nor a folder"),
        (member("disk", type=tarfile.BLKTYPE), "neither a file nor a folder"),
        (member("pipe", type=tarfile.FIFOTYPE), "neither a file nor a folder"),
        (member("line\nbreak", b"x"), "do not bear alike"),
        (member("x" * 256, b"x"), "do not bear alike"),
        (member("/".join("d" * 40), b"x"), "do not bear alike"),
        (member("\udcff", b"x"), "not UTF-8"),
    ],
)
def test_what_no_model_needs_is_refused(
    tmp_path: Path, entry: tuple[tarfile.TarInfo, bytes], words: str
) -> None:
    found, content = entry
    archive = io.BytesIO()
    with tarfile.open(
        fileobj=archive, mode="w:gz", format=tarfile.GNU_FORMAT, errors="surrogateescape"
    ) as out:
        out.addfile(*[member("weights", b"w")[0], io.BytesIO(b"w")])
        out.addfile(found, io.BytesIO(content))
    assert words in refused(tmp_path, archive.getvalue())
    assert not (tmp_path.parent / "outside").exists()


def test_a_name_that_comes_twice_is_refused(tmp_path: Path) -> None:
    assert "twice" in refused(tmp_path, packed(member("w", b"1"), member("./w", b"2")))


@pytest.mark.parametrize("names", [("w", "w/in"), ("w/in", "w"), ("w", "w/"), ("w/", "w")])
def test_a_file_that_is_a_folder_too_is_refused(tmp_path: Path, names: tuple[str, str]) -> None:
    types = [tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE for name in names]
    members = (member(name, type=type_) for name, type_ in zip(names, types, strict=True))
    assert "as a file and as a folder" in refused(tmp_path, packed(*members))


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        (Bounds(most_bytes=MIB), "more than 1 MiB"),
        (Bounds(most_files=2), "more than 2 files"),
        (Bounds(any_ratio=MIB, ratio=10), "more than 10 to 1"),
    ],
)
def test_an_archive_beyond_the_bounds_is_refused(
    tmp_path: Path, bounds: Bounds, words: str
) -> None:
    content = packed(*(member(str(number), bytes(8 * MIB)) for number in range(3)))
    assert words in refused(tmp_path, content, bounds)


def test_a_bomb_within_headers_is_not_taken_into_memory(tmp_path: Path) -> None:
    header = tarfile.TarInfo("././@PaxHeader")
    header.type, header.size = tarfile.XHDTYPE, 300 * MIB
    bomb = io.BytesIO()
    with gzip.GzipFile(fileobj=bomb, mode="wb", compresslevel=1) as out:
        out.write(header.tobuf())
        for _ in range(300):
            out.write(bytes(MIB))
    assert "headers beyond all measure" in refused(tmp_path, bomb.getvalue())


def test_a_disk_without_room_is_not_the_archives_fault(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="would be left"):
        unpacked(tmp_path, packed(member("w", b"w")), Bounds(free_mib=2**40))
    assert [path.name for path in tmp_path.iterdir()] == ["model.tar.gz"]


def test_nothing_but_a_whole_tar_gz_is_taken(tmp_path: Path) -> None:
    whole = packed(member("w", os.urandom(20_000)))
    for content in (b"", b"PK\x03\x04", gzip.compress(b"no tar"), whole[:-9_000], whole[10:]):
        assert "tar.gz" in refused(tmp_path, content)
        (tmp_path / "model.tar.gz").unlink()
    assert "holds nothing" in refused(tmp_path, packed())


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_no_damage_leads_anywhere_else(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Whatever is in the headers: it is refused, or files lie below the folder."""
    plain = bytearray(gzip.decompress(packed(member("a/b", b"content"), member("c", b"more"))))
    for _ in range(data.draw(st.integers(1, 6))):
        plain[data.draw(st.integers(0, len(plain) - 1))] = data.draw(st.integers(0, 255))
    folder = tmp_path_factory.mktemp("damaged")
    try:
        unpacked(folder, gzip.compress(bytes(plain)))
    except RuntimeFailed:
        assert not (folder / "model").exists()
    assert {path.name for path in folder.iterdir()} <= {"model.tar.gz", "model"}
    assert not any(path.is_symlink() for path in folder.rglob("*"))
