"""Documents as bytes and back, and what is refused."""

from __future__ import annotations

import gzip

import pytest

from clusters.agent import protocol
from clusters.agent.protocol import BadDocument


@pytest.mark.parametrize("length", [1, 5000])
def test_a_document_comes_back(length: int) -> None:
    document = {"text": "é" * length, "number": 1.5}
    body, encoding = protocol.encode(document)
    assert encoding == ("gzip" if length > 1000 else None)
    assert protocol.decode(body, encoding) == document


def test_text_that_is_no_unicode_does_not_stop_the_exchange() -> None:
    body, encoding = protocol.encode({"name": "\udcff"})
    assert protocol.decode(body, encoding) == {"name": "?"}


def test_no_number_without_a_json_spelling_is_sent() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        protocol.encode({"value": float("nan")})


@pytest.mark.parametrize(
    ("body", "encoding", "words"),
    [
        (b"{", None, "not JSON"),
        (b"[]", None, "must be a JSON object"),
        (b"[" * 100_000, None, "not JSON"),
        (b"{}", "br", "is unknown"),
        (b"{}", "gzip", "not gzip"),
        (gzip.compress(b"{}" * 1000, mtime=0)[:-9], "gzip", "cut short"),
        (gzip.compress(bytes(protocol.MAX_DOCUMENT + 1), mtime=0), "gzip", "longer than"),
        (bytes(protocol.MAX_DOCUMENT + 1), None, "longer than"),
    ],
)
def test_what_is_no_document_is_refused(body: bytes, encoding: str | None, words: str) -> None:
    with pytest.raises(BadDocument, match=words):
        protocol.decode(body, encoding)


def test_a_moment_is_written_in_utc_with_milliseconds() -> None:
    assert protocol.timestamp(1.5) == "1970-01-01T00:00:01.500Z"
