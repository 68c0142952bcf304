"""Examples and schemas take megabytes: who lists models does not fetch them again and again."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from mlmodels.models import Prediction, Replica
from mlmodels.models.version import HEAVY
from mlmodels.predictions.exporting import json_lines
from mlmodels.predictions.searching import search
from mlmodels.proxy import table
from mlmodels.services import async_running, tending
from tests.mlmodels import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def replica(ada: Any) -> Replica:
    one = factories.running(ada, "redshift", input_schema=factories.SCHEMA)
    later = factories.version(one.version.model)
    one.version.model.previous = later
    one.version.model.save()
    Prediction.objects.create(
        model=later.model, version=later, user=ada, input_type="text/csv", input_text="1"
    )
    return one


@pytest.mark.parametrize(
    "path",
    [
        reverse("model-list"),
        reverse("model-card", args=["redshift"]),
        reverse("dashboard"),
        "/api/v1/models",
        "/api/v1/models/redshift/replicas",
        "/api/v1/models/redshift/predictions",
        "/api/v1/models/redshift/invocations/async",
    ],
)
def test_lists_fetch_no_long_columns(client: Client, replica: Replica, path: str, max: Any) -> None:
    client.force_login(max)
    with CaptureQueriesContext(connection) as asked:
        assert client.get(path).status_code == 200
    _hold_nothing_long(asked)


def test_what_works_behind_the_pages_fetches_none_either(replica: Replica, max: Any) -> None:
    with CaptureQueriesContext(connection) as asked:
        table.load()
        tending.tend_all()
        async_running.claim("runner", 5)
        list(json_lines(search(max, replica.version.model)))
    assert len(asked) > 5
    _hold_nothing_long(asked)


def _hold_nothing_long(asked: CaptureQueriesContext) -> None:
    found = [
        query["sql"]
        for query in asked.captured_queries
        if any(f'."{name}"' in query["sql"] for name in HEAVY)
    ]
    assert found == []
