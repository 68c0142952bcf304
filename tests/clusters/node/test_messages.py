"""Signed messages: whole or refused, whatever somebody with access to the broker changes."""

from __future__ import annotations

import base64
import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusters.agent.protocol import MAX_BODY, BadDocument
from clusters.node import messages
from clusters.node.messages import (
    BadMessage,
    Kind,
    Message,
    TooLong,
    key_named,
    pack,
    prefix_of,
    signing_key,
    unpack,
)

SECRET = "lpk_ab12cd34_secret"
KEY = signing_key(SECRET)


def message(**changes: Any) -> Message:
    fields: dict[str, Any] = {
        "kind": Kind.REQUEST,
        "node": "gpu-1",
        "key": "ab12cd34",
        "id": "f" * 32,
        "at_ms": 1_000,
        "document": {"runs": ["ü"], "n": 1},
        "reply_to": "7df70f6c",
        **changes,
    }
    return Message(**fields)


def test_what_was_packed_is_unpacked_and_survives_json() -> None:
    packed = json.loads(json.dumps(pack(message(), KEY)))
    assert unpack(packed, KEY) == message()
    assert key_named(packed) == "ab12cd34"


def test_the_api_key_does_not_travel() -> None:
    assert "secret" not in json.dumps(pack(message(), KEY))
    assert signing_key(SECRET) != signing_key("lpk_ab12cd34_other")
    assert signing_key(f"{SECRET}\n") == KEY


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kind", "reply"),
        ("node", "gpu-2"),
        ("key", "ffffffff"),
        ("id", "e" * 32),
        ("at", 1_001),
        ("reply_to", "00000000"),
        ("encoding", "gzip"),
        ("body", base64.b64encode(b'{"runs":[]}').decode()),
        ("mac", "0" * 64),
        ("mac", "é"),
    ],
)
def test_a_change_of_any_part_breaks_the_signature(name: str, value: Any) -> None:
    with pytest.raises(BadMessage, match="signature"):
        unpack({**pack(message(), KEY), name: value}, KEY)


def test_another_key_signs_nothing_here() -> None:
    with pytest.raises(BadMessage):
        unpack(pack(message(), signing_key("lpk_ab12cd34_guess")), KEY)


@pytest.mark.parametrize(
    "changes",
    [
        {"v": 2},
        {"at": "1000"},
        {"at": True},
        {"mac": None},
        {"body": 7},
        {"node": "../gpu"},
        {"node": "celery"[:0]},
        {"reply_to": "a b"},
        {"id": ""},
        {"key": "x" * 200},
    ],
)
def test_what_has_not_the_shape_of_a_message_is_refused_before_any_key_is_looked_up(
    changes: dict[str, Any],
) -> None:
    with pytest.raises(BadMessage):
        key_named({**pack(message(), KEY), **changes})


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_anything_else_is_no_message(value: Any) -> None:
    with pytest.raises(BadMessage):
        key_named(value)


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.lists(st.booleans())))
def test_any_document_comes_back(document: dict[str, Any]) -> None:
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return
    assert unpack(pack(message(document=document), KEY), KEY).document == document


def test_a_request_is_bounded_and_an_answer_may_be_long(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = random.Random(1).randbytes(4000).hex()  # noqa: S311  (no secret)
    monkeypatch.setattr(messages, "MAX_BODY", 1000)
    with pytest.raises(TooLong, match="at most 1000"):
        pack(message(document={"noise": noise}), KEY)
    assert pack(message(kind=Kind.REPLY, document={"noise": noise}), KEY)
    long = {**pack(message(), KEY), "body": "A" * (4 * MAX_BODY // 3 + 5)}
    with pytest.raises(BadMessage, match="longer"):
        key_named(long)


def test_a_signed_body_that_is_no_document_is_told_apart() -> None:
    odd = {**pack(message(), KEY), "body": base64.b64encode(b"[1]").decode(), "encoding": ""}
    odd["mac"] = messages._mac(odd, KEY)
    with pytest.raises(BadDocument):
        unpack(odd, KEY)


@pytest.mark.parametrize("text", ["", "lpk", "lpk_ab", "lpk_a b_c"])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no key"):
        prefix_of(text)
