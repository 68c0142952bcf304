"""Tensor files are believed only where they are whole; what is wrong with others is said."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calculations.software.torch_inference.program.formats import (
    BadFile,
    TensorFile,
    read_header,
)

safetensors = pytest.importorskip("safetensors.numpy")
ARRAYS = {
    "image": numpy.arange(3 * 5 * 4, dtype="<f4").reshape(3, 5, 4),
    "magnitude": numpy.linspace(0, 1, 15).reshape(3, 5),
    "redshift": numpy.array([0.1, 0.2, 0.3], "<f4"),
}


def safetensors_file(folder: Path) -> Path:
    path = folder / "1.safetensors"
    safetensors.save_file(ARRAYS, path)
    return path


def with_header(folder: Path, header: object, data: bytes = b"") -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path = folder / "made.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def npz_file(folder: Path, *, packed: bool) -> Path:
    path = folder / "1.npz"
    (numpy.savez_compressed if packed else numpy.savez)(path, **ARRAYS)
    return path


@pytest.mark.parametrize("kind", ["safetensors", "npz", "packed"])
def test_rows_are_those_that_were_written(tmp_path: Path, kind: str) -> None:
    path = (
        safetensors_file(tmp_path)
        if kind == "safetensors"
        else npz_file(tmp_path, packed=kind == "packed")
    )
    tensors = read_header(path)
    with TensorFile(path, tensors) as file:
        for name, array in ARRAYS.items():
            assert tensors[name].shape == array.shape
            found = numpy.frombuffer(file.rows(name, 1, 3), array.dtype)
            assert found.tolist() == array[1:3].reshape(-1).tolist()


@pytest.mark.parametrize("kind", ["safetensors", "npz", "packed"])
@settings(max_examples=40, deadline=None)
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_file_that_was_cut_anywhere_is_refused(
    tmp_path_factory: pytest.TempPathFactory, kind: str, share: float
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    whole = (
        safetensors_file(folder)
        if kind == "safetensors"
        else npz_file(folder, packed=kind == "packed")
    )
    content = whole.read_bytes()
    whole.write_bytes(content[: int(share * len(content))])
    with pytest.raises(BadFile):
        read_header(whole)


@settings(max_examples=150, deadline=None)
@given(content=st.binary(max_size=200), suffix=st.sampled_from([".safetensors", ".npz"]))
def test_no_bytes_make_the_reader_fail_otherwise(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, suffix: str
) -> None:
    path = tmp_path_factory.mktemp("any") / f"any{suffix}"
    path.write_bytes(content)
    try:
        read_header(path)
    except BadFile as error:
        assert str(error)


ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    ("header", "data", "words"),
    [
        (b"{", b"", "no JSON"),
        (b"[]", b"", "no JSON object"),
        (b'{"a":1,"a":2}', b"", "twice"),
        ({"a": {}}, b"", "does not say type"),
        ({"a": {**ENTRY, "dtype": "F31"}}, bytes(8), "unknown type"),
        ({"a": {**ENTRY, "shape": [-2]}}, bytes(8), "no list of whole numbers"),
        ({"a": {**ENTRY, "shape": [True]}}, bytes(8), "no list of whole numbers"),
        ({"a": {**ENTRY, "shape": [3]}}, bytes(8), "does not fit"),
        ({"a": {**ENTRY, "shape": [2**61, 2**61]}}, bytes(8), "that no tensor has"),
        ({"a": ENTRY}, bytes(9), "added to"),
        ({"a": ENTRY}, bytes(7), "was cut"),
        ({"a": ENTRY, "b": ENTRY}, bytes(8), "does not begin where"),
        ({"a": {**ENTRY, "data_offsets": [4, 12]}}, bytes(12), "does not begin where"),
    ],
)
def test_a_safetensors_header_that_lies_is_refused(
    tmp_path: Path, header: object, data: bytes, words: str
) -> None:
    with pytest.raises(BadFile, match=words):
        read_header(with_header(tmp_path, header, data))


def test_a_header_longer_than_the_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes((2**62).to_bytes(8, "little") + b"{}")
    with pytest.raises(BadFile, match="says that its header is"):
        read_header(path)


def test_arrays_of_python_objects_are_refused_and_never_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "objects.npz"
    numpy.savez(path, image=numpy.array([{"a": 1}], dtype=object))
    with pytest.raises(BadFile, match="Python objects"):
        read_header(path)


def test_arrays_in_the_order_of_fortran_and_big_endian_ones_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    numpy.savez(path, image=numpy.asfortranarray(numpy.zeros((2, 3))))
    with pytest.raises(BadFile, match="column by column"):
        read_header(path)
    numpy.savez(path, image=numpy.zeros(2, ">f4"))
    with pytest.raises(BadFile, match="little-endian"):
        read_header(path)


def test_an_archive_that_claims_more_than_it_can_unpack_to_is_refused(tmp_path: Path) -> None:
    path = npz_file(tmp_path, packed=True)
    content = bytearray(path.read_bytes())
    place = content.rindex(b"PK\x01\x02")  # of the list of contents: the size when unpacked
    content[place + 24 : place + 28] = (2**31).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(BadFile):
        read_header(path)


def marked(path: Path, place: int, value: int) -> None:
    """Write a byte into each entry of an archive's list of contents."""
    content = bytearray(path.read_bytes())
    at = content.find(b"PK\x01\x02")
    while at >= 0:
        content[at + place] = value
        at = content.find(b"PK\x01\x02", at + 4)
    path.write_bytes(content)


VERSION, FLAGS = 6, 8


@pytest.mark.parametrize(("place", "value"), [(VERSION, 99), (FLAGS, 0x20), (FLAGS, 0x01)])
def test_an_archive_that_cannot_be_unpacked_is_refused_whenever_it_is_read(
    tmp_path: Path, place: int, value: int
) -> None:
    """Of a later version, patched, encrypted."""
    path = npz_file(tmp_path, packed=True)
    with TensorFile(path, read_header(path)) as file:
        marked(path, place, value)
        with pytest.raises(BadFile, match="cannot be unpacked"):
            file.rows("image", 0, 1)
    with pytest.raises(BadFile):
        read_header(path)


def test_an_archive_of_other_things_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(BadFile, match="no array"):
        read_header(path)


def test_a_file_that_shrinks_while_it_is_read_is_noticed(tmp_path: Path) -> None:
    path = safetensors_file(tmp_path)
    tensors = read_header(path)
    with TensorFile(path, tensors) as file:
        with path.open("r+b") as stream:
            stream.truncate(tensors["image"].offset + 8)
        with pytest.raises(BadFile, match="was cut while it was read"):
            file.rows("image", 0, 3)
