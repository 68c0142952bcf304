"""Calls in the background: asked for by the form, watched, cancelled, their answers drawn."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from labportal.common.storage import storage
from mlmodels.models import AsyncInvocation, ModelVersion
from mlmodels.states import AsyncState
from tests.calculations.test_pages import as_person, page, post
from tests.mlmodels.factories import SCHEMA, registered, version

pytestmark = pytest.mark.django_db


@pytest.fixture
def redshift(ada: Any) -> ModelVersion:
    made = version(registered(ada, "redshift"), input_schema=SCHEMA)
    made.model.current = made
    made.model.save()
    return made


@pytest.fixture
def ada_browses(ada: Any) -> Client:
    return as_person(ada)


def asked() -> AsyncInvocation:
    return AsyncInvocation.objects.get()


def body_of(call: AsyncInvocation) -> bytes:
    with storage().open(call.body_key) as stream:
        return stream.read()


def test_the_form_without_scripts_queues_a_call(ada_browses: Client, redshift: Any) -> None:
    answer = post(ada_browses, "model-queue", "redshift", **{"in:/x": "0.5", "version": "1"})
    assert answer.redirect_chain[-1][0] == "/models/redshift/predictions/#calls"
    assert "Calls in the background" in answer.content.decode()
    call = asked()
    assert json.loads(body_of(call)) == {"x": 0.5}
    assert (call.content_type, call.version) == ("application/json", None)


def test_a_named_version_is_asked_itself(ada_browses: Client, redshift: Any) -> None:
    post(ada_browses, "model-queue", "redshift", **{"in:/x": "1", "version": "1", "named": "1"})
    assert asked().version == redshift


def test_faults_are_told_at_their_fields_and_what_was_entered_stays(
    ada_browses: Client, redshift: Any
) -> None:
    answer = post(ada_browses, "model-queue", "redshift", **{"in:/x": "-3", "version": "1"})
    text = answer.content.decode()
    assert answer.status_code == 400
    assert "This has to be 0 or more." in text
    assert 'value="-3"' in text
    assert not AsyncInvocation.objects.exists()


def test_a_text_or_a_file_is_the_body_itself(ada_browses: Client, ada: Any) -> None:
    made = version(registered(ada, "echo"), accepts=["text/csv", "image/png"], example="a,b")
    made.model.current = made
    made.model.save()
    post(ada_browses, "model-queue", "echo", text="a,b\r\n1,2")
    assert body_of(asked()) == b"a,b\n1,2"
    asked().delete()
    picture = SimpleUploadedFile("a.png", b"\x89PNG")
    post(ada_browses, "model-queue", "echo", type="image/png", file=picture)
    assert (body_of(asked()), asked().content_type) == (b"\x89PNG", "image/png")
    asked().delete()
    empty = post(ada_browses, "model-queue", "echo", text="")
    assert "Write the body, or choose a file." in empty.content.decode()


def test_too_large_a_file_is_refused(ada_browses: Client, ada: Any) -> None:
    made = version(registered(ada, "echo", max_body_mib=1), accepts=["text/csv"], example="a")
    made.model.current = made
    made.model.save()
    large = SimpleUploadedFile("large.csv", b"x" * (1024 * 1024 + 1))
    answer = post(ada_browses, "model-queue", "echo", file=large)
    assert "large.csv is larger than the 1 MiB of a call." in answer.content.decode()


def made_call(of: ModelVersion, by: Any, **values: Any) -> AsyncInvocation:
    return AsyncInvocation.objects.create(model=of.model, user=by, **values)


def test_the_page_of_a_call_draws_its_answer(ada_browses: Client, redshift: Any, ada: Any) -> None:
    storage().save("models/1/calls/a-result", io.BytesIO(b'{"z": 0.42}'))
    call = made_call(
        redshift,
        ada,
        state=AsyncState.DONE,
        result_key="models/1/calls/a-result",
        result_size=11,
        result_type="application/json",
    )
    text = page(ada_browses, "model-call", "redshift", call.pk)
    assert "<dt>Z</dt><dd>0.42</dd>" in text
    assert "Cancel it" not in text
    storage().delete("models/1/calls/a-result")
    assert "no longer kept" in page(ada_browses, "model-call", "redshift", call.pk)


def test_a_call_is_cancelled_from_its_page(ada_browses: Client, redshift: Any, ada: Any) -> None:
    call = made_call(redshift, ada)
    assert "Cancel it" in page(ada_browses, "model-call", "redshift", call.pk)
    post(ada_browses, "model-call-cancel", "redshift", call.pk)
    call.refresh_from_db()
    assert call.state == AsyncState.CANCELLED
    again = post(ada_browses, "model-call-cancel", "redshift", call.pk)
    assert "has ended already" in again.content.decode()


def test_calls_of_others_are_not_there(redshift: Any, ada: Any, eve: Any) -> None:
    call = made_call(redshift, ada)
    assert "Calls in the background" not in page(
        as_person(eve), "model-detail", "redshift", "predictions"
    )
    for name in ("model-call", "model-call-cancel"):
        url = reverse(name, args=["redshift", call.pk])
        ask = as_person(eve).post if name.endswith("cancel") else as_person(eve).get
        assert ask(url).status_code == 404
