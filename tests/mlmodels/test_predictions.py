"""What was asked and answered: kept, found by those who may see it, exported as a data set."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from labportal.common import sending
from labportal.common.clock import now
from labportal.common.errors import InvalidInput, NotFound
from labportal.common.storage import storage
from mlmodels.models import ModelVersion, Prediction
from mlmodels.predictions import exporting, keeping, searching
from mlmodels.predictions.searching import Wanted
from tests.factories import UserFactory
from tests.mlmodels import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def version(ada: Any) -> ModelVersion:
    return factories.version(factories.registered(ada, "redshift"))


@pytest.fixture
def secrets() -> Iterator[dict[str, set[str]]]:
    """A kind of thing that only those may see who are named: {"1": {"ada"}}."""
    seen: dict[str, set[str]] = {"1": {"ada", "eve"}, "2": {"ada"}}

    def find(user: Any, ident: str) -> Any:
        return SimpleNamespace(key=f"thing:{ident}") if user.username in seen[ident] else None

    def visible(user: Any, idents: Any) -> list[str]:
        return [ident for ident in idents if user.username in seen[ident]]

    sending.register_subject("thing", "Thing", find=find, visible=visible)
    yield seen
    sending._kinds.pop("thing")


def kept(version: ModelVersion, user: Any, **values: Any) -> keeping.Kept:
    body = values.pop("input", b'{"x": 1.5}')
    answer = values.pop("output", b'{"z": 0.5}')
    told = {"model_id": version.model_id, "version_id": version.pk, "user_id": user.pk}
    told |= {"at": now().timestamp(), "ms": 2.5}
    told |= dict.fromkeys(("input_type", "output_type"), "application/json")
    made = keeping.Kept(**(told | values))
    made.input.write(body)
    made.output.write(answer)
    return made


def predict(version: ModelVersion, user: Any, **values: Any) -> Prediction:
    keeping.store([kept(version, user, **values)])
    return Prediction.objects.first()


# Keeping


def test_short_texts_stand_in_the_row(version: ModelVersion, ada: Any) -> None:
    row = predict(version, ada, inference_id="call-1")
    assert (row.input_text, row.output_text) == ('{"x": 1.5}', '{"z": 0.5}')
    assert (row.input_key, row.output_key, row.inference_id) == ("", "", "call-1")
    assert (row.model, row.version, row.user, row.ms) == (version.model, version, ada, 2.5)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"x" * (keeping.INLINE + 1), "text/plain"),
        (b"\x93NUMPY", "application/x-npy"),
        (b"a\0b", "text/plain"),
        (b"\xff\xfe", "application/json"),
    ],
)
def test_what_is_no_short_text_lies_in_the_file_store(
    version: ModelVersion, ada: Any, body: bytes, content_type: str
) -> None:
    row = predict(version, ada, input=body, input_type=content_type)
    assert row.input_text == ""
    with storage().open(row.input_key) as file:
        assert file.read() == body


def test_who_was_deleted_meanwhile_does_not_lose_what_others_asked(
    version: ModelVersion, ada: Any
) -> None:
    guest = UserFactory()
    batch = [kept(version, guest), kept(version, ada), kept(version, ada, version_id=0)]
    guest.delete()
    keeping.store(batch)
    assert [(row.user, row.version) for row in Prediction.objects.all()] == [
        (ada, None),
        (ada, version),
    ]


def test_predictions_are_forgotten_when_their_time_is_over(version: ModelVersion, ada: Any) -> None:
    version.model.prediction_days = 10
    version.model.save()
    for days in (9, 11):
        at = (now() - timedelta(days=days)).timestamp()
        predict(version, ada, input=b"\0", at=at)
    key = Prediction.objects.order_by("at")[0].input_key
    assert keeping.forget_old() == 1
    assert Prediction.objects.count() == 1
    with pytest.raises(NotFound):
        storage().open(key)


# Searching


def found(viewer: Any, of: ModelVersion, **wanted: str) -> list[int]:
    return [row.pk for row in searching.search(viewer, of.model, Wanted.read(wanted))]


def test_predictions_are_found_by_what_they_hold(version: ModelVersion, ada: Any, max: Any) -> None:
    second = factories.version(version.model)
    one = predict(version, ada, input=b'{"name": "M31 core"}', inference_id="night-7")
    two = predict(second, max, input=b'{"name": "M33"}', output=b'{"z": 0.9}')
    assert found(ada, version) == [two.pk, one.pk]
    assert found(ada, version, text="m31") == [one.pk]
    assert found(ada, version, text="core M31") == [one.pk]
    assert found(ada, version, text="0.9") == [two.pk]
    assert found(ada, version, text="night-7") == [one.pk]
    assert found(ada, version, text="M31 M33") == []
    assert found(ada, version, person="MAX") == [two.pk]
    assert found(ada, version, version="1") == [one.pk]
    assert found(ada, version, since="2999-01-01") == []
    assert found(ada, version, until="2999-01-01T12:00") == [two.pk, one.pk]
    assert found(ada, version, text="%") == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", "one"),
        ("version", "9" * 12),
        ("version", "9" * 5000),
        ("version", "-1"),
        ("since", "yesterday"),
        ("until", "2026-13-01"),
    ],
)
def test_what_cannot_be_looked_for_is_named(field: str, value: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Wanted.read({field: value})
    assert set(refused.value.errors) == {field}


@given(st.text(max_size=300))
def test_any_words_may_be_looked_for(text: str) -> None:
    """Read without a database: no NUL reaches it, and it is bounded."""
    wanted = Wanted.read({"text": text, "subject": text, "person": text})
    assert "\0" not in wanted.text + wanted.subject + wanted.person
    assert len(wanted.text) <= searching.MOST_TEXT


def test_what_was_asked_about_a_thing_of_others_is_not_shown(
    version: ModelVersion, ada: Any, eve: Any, max: Any, secrets: Any
) -> None:
    free = predict(version, ada)
    shared = predict(version, ada, subject="thing:1")
    private = predict(version, ada, subject="thing:2")
    assert found(ada, version) == [private.pk, shared.pk, free.pk]
    assert found(eve, version) == [shared.pk, free.pk]
    assert found(max, version) == [private.pk, shared.pk, free.pk]
    assert found(eve, version, subject="thing:2") == []
    with pytest.raises(NotFound):
        searching.find(eve, version.model, private.pk)
    assert searching.find(eve, version.model, shared.pk) == shared
    assert list(searching.about(ada, "thing:2")) == [private]
    assert list(searching.about(eve, "thing:2")) == []
    # What one has asked oneself stays one's own, also when the thing is no longer shown.
    secrets["1"].clear()
    assert found(ada, version) == [private.pk, shared.pk, free.pk]
    assert found(eve, version) == [free.pk]


def test_nobody_who_is_blocked_finds_any(version: ModelVersion, ada: Any, eve: Any) -> None:
    predict(version, ada)
    eve.is_active = False
    assert found(eve, version) == []


def test_the_number_of_queries_does_not_grow(
    version: ModelVersion, ada: Any, eve: Any, secrets: Any, django_assert_num_queries: Any
) -> None:
    for number in range(6):
        predict(version, ada, subject=f"thing:{number % 2 + 1}")
    with django_assert_num_queries(2):
        rows = searching.search(eve, version.model)
        assert [row.user.username for row in rows] == ["ada"] * 3


# Exporting


@pytest.fixture
def rows(version: ModelVersion, ada: Any) -> Any:
    predict(version, ada, input=b'{"x": 1, "name": "=cmd()"}', output=b'{"z": [0.5, 0.25]}')
    predict(version, ada, input=b'{"x": 2.5}', output=b'{"z": [1], "ok": true}', subject="thing:9")
    predict(version, ada, input=b"\0", input_type="image/png", output=b"broken {")
    return Prediction.objects.order_by("pk")


def test_json_lines_hold_documents(rows: Any) -> None:
    first, second, third = map(json.loads, b"".join(exporting.json_lines(rows)).splitlines())
    assert first["input"] == {"x": 1, "name": "=cmd()"}
    assert (second["subject"], second["person"], second["version"]) == ("thing:9", "ada", 1)
    assert (third["input"], third["input_is_file"], third["output"]) == (None, True, "broken {")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 20_000 + "]" * 20_000, "[" * 20_000 + "]" * 20_000),
        ('{"x": 1e999, "y": NaN}', {"x": "1e999", "y": "NaN"}),
        (r'{"x": "\ud83d", "y": 1.5}', {"x": "?", "y": 1.5}),
    ],
)
def test_json_that_no_program_reads_spoils_neither_the_list_nor_the_export(
    version: ModelVersion, client: Client, ada: Any, text: str, said: Any
) -> None:
    row = predict(version, ada, input=text.encode())
    client.force_login(ada)
    listed = client.get(reverse("api-model-predictions", args=[version.model.name]))
    assert listed.json()["results"][0]["input"] == said
    where = reverse("api-model-predictions-export", args=[version.model.name])
    for name in exporting.FORMATS:
        assert b"".join(client.get(where, {"format": name}).streaming_content)
    assert json.loads(next(exporting.json_lines(Prediction.objects.filter(pk=row.pk)))) == (
        {**listed.json()["results"][0], "at": row.at.isoformat()}
    )


def test_csv_has_a_column_for_each_value_and_no_formula(rows: Any) -> None:
    text = b"".join(exporting.comma_separated(rows)).decode()
    first, second, third = csv.DictReader(io.StringIO(text))
    assert (first["input.x"], first["input.name"]) == ("1", "'=cmd()")
    assert (first["output.z.0"], first["output.z.1"], second["output.z.1"]) == ("0.5", "0.25", "")
    assert (second["output.ok"], third["output"]) == ("True", "broken {")


def test_parquet_has_types(rows: Any) -> None:
    from pyarrow import BufferReader, parquet

    table = parquet.read_table(BufferReader(b"".join(exporting.parquet(rows))))
    kinds = {field.name: str(field.type) for field in table.schema}
    assert (kinds["input.x"], kinds["output.z.0"], kinds["output.ok"]) == (
        "double",
        "double",
        "bool",
    )
    assert (kinds["version"], kinds["subject"]) == ("int64", "string")
    assert table.column("input.x").to_pylist() == [1.0, 2.5, None]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(JSON, max_size=5))
def test_every_value_finds_a_column_that_holds_it(values: list[Any]) -> None:
    """The column's type, found in one pass, takes every value of the second."""
    kinds: dict[str, Any] = {}
    flat: list[dict[str, Any]] = []
    for value in values:
        flat.append({})
        exporting._flatten("input", value, flat[-1])
        for name, one in flat[-1].items():
            kinds[name] = exporting._wider(kinds.get(name), one)
    for row in flat:
        for name, one in row.items():
            typed = exporting._typed(one, kinds[name] or str)
            assert typed is None or type(typed) is (kinds[name] or str)


def test_more_columns_than_a_table_bears(version: ModelVersion, ada: Any) -> None:
    wide = json.dumps({f"x{i}": i for i in range(exporting.MOST_COLUMNS + 1)}).encode()
    predict(version, ada, input=wide)
    with pytest.raises(InvalidInput, match="JSON Lines"):
        list(exporting.comma_separated(Prediction.objects.all()))
