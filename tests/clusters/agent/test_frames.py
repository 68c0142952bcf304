"""Documents find their way through what a login prints around them."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusters.agent.frames import MAX_NOISE, Reader, Writer
from clusters.agent.protocol import BadDocument

documents = st.dictionaries(st.text(max_size=5), st.text(max_size=3000), max_size=3)
noise = st.binary(max_size=300).filter(lambda text: b"#labportal" not in text)


def framed(document: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    Writer(stream).write(document)
    return stream.getvalue()


@given(st.lists(st.tuples(noise, documents), max_size=5), noise)
def test_every_document_arrives_whatever_stands_between(
    parts: list[tuple[bytes, dict[str, str]]], rest: bytes
) -> None:
    stream = b"".join(before + framed(document) for before, document in parts) + rest
    reader = Reader(io.BytesIO(stream))
    for _, document in parts:
        sent = {k.encode(errors="replace").decode(): v for k, v in document.items()}
        assert reader.read() == {k: v.encode(errors="replace").decode() for k, v in sent.items()}
    assert reader.read() is None


def test_what_was_printed_instead_is_kept() -> None:
    reader = Reader(io.BytesIO(b"Your password has expired.\n"))
    assert reader.read() is None
    assert reader.noise == "Your password has expired.\n"


def test_a_damaged_frame_is_told_from_a_good_one() -> None:
    stream = framed({"a": "x"}).replace(b'"x"', b'"y"')
    with pytest.raises(BadDocument, match="damaged"):
        Reader(io.BytesIO(stream)).read()


def test_a_frame_that_is_cut_short_is_the_end() -> None:
    assert Reader(io.BytesIO(framed({"a": "x"})[:-1])).read() is None


@pytest.mark.parametrize("line", [b"x\n", b"y" * 5000, b"#labportal 5 nothex\n"])
def test_who_prints_without_end_is_not_listened_to(line: bytes) -> None:
    with pytest.raises(BadDocument, match="prints too much"):
        Reader(io.BytesIO(line * (MAX_NOISE // len(line) + 2))).read()


def test_a_frame_of_any_length_is_not_read() -> None:
    with pytest.raises(BadDocument, match="longer than"):
        Reader(io.BytesIO(b"#labportal 999999999 00000000\n")).read()
