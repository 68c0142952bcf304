"""A call as people write it elsewhere: whatever the body holds, it arrives as it is."""

from __future__ import annotations

import json
import os
import shlex
import types
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlmodels.snippets import LONGEST, snippets

URL = "https://portal.example.org/api/v1/models/gait/invocations"
#: Machines that are busy draw slowly.
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


def sent(text: str) -> dict[str, Any]:
    """What the Python of a snippet would send."""
    found: dict[str, Any] = {}

    def post(url: str, **given: Any) -> Any:
        found.update(given, url=url)
        return types.SimpleNamespace(raise_for_status=lambda: None, json=dict, content=b"")

    code = text.replace("import requests\n", "").replace("print(", "str(")
    exec(code, {"requests": types.SimpleNamespace(post=post)})  # noqa: S102 - the snippet itself
    return found


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "t0k3n")


@QUICK
@given(DOCUMENTS)
def test_the_document_arrives_from_a_shell_and_from_python(document: Any) -> None:
    os.environ["TOKEN"] = "t0k3n"
    body = json.dumps(document)
    curl, python = snippets(URL, "application/json", body)
    words = shlex.split(curl.text.replace("\\\n", " "))
    assert words[words.index("--data-raw") + 1] == body
    assert sent(python.text)["json"] == document


@QUICK
@given(st.text(min_size=1, max_size=40))
def test_a_text_arrives_as_it_is(body: str) -> None:
    os.environ["TOKEN"] = "t0k3n"
    curl, python = snippets(URL, "text/csv", body)
    assert body in shlex.split(curl.text)
    found = sent(python.text)
    assert found["data"] == body.encode("utf-8", "surrogatepass")
    assert found["headers"]["Content-Type"] == "text/csv"
    assert found["headers"]["Authorization"] == "Bearer t0k3n"


@pytest.mark.parametrize(("body", "name"), [("x" * (LONGEST + 1), "json"), ("", "json")])
def test_a_long_body_and_one_of_bytes_are_files(body: str, name: str) -> None:
    curl, python = snippets(URL, "application/json", body)
    assert f"--data-binary @input.{name}" in curl.text
    assert f'data=open("input.{name}", "rb")' in python.text


def test_numbers_that_python_writes_otherwise_are_sent_as_text() -> None:
    body = '{"x": 1e999}'
    assert sent(snippets(URL, "application/json", body)[1].text)["data"] == body.encode()
