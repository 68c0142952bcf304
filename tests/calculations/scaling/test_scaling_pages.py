"""The tab Scaling, its table and its document for programs."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from calculations.models import Calculation, Run
from calculations.views.detail import TABS
from tests.calculations.factories import draft
from tests.calculations.rest import api
from tests.calculations.scaling.runs import calculation
from tests.clusters.factories import cluster
from tests.factories import ProjectFactory

pytestmark = pytest.mark.django_db
TIMES = {1: 20.0, 2: 11.0, 4: 7.0}


def page(client: Client, person: Any, pk: int, **query: Any) -> str:
    client.force_login(person)
    answer = client.get(f"/calculations/{pk}/scaling/", query)
    assert answer.status_code == 200
    return answer.content.decode()


def document(person: Any, pk: int, **query: Any) -> dict[str, Any]:
    answer = api(person).get(f"/api/v1/calculations/{pk}/scaling/", query)
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_the_page_says_which_number_of_ranks_is_quickest_and_cheapest(
    client: Client, ada: Any
) -> None:
    made = calculation(ada, TIMES)
    text = page(client, ada, made.pk)
    for words in ("N = 4", "2.86 × as quick as N = 1", "Cheapest in core-hours", "2,048 samples"):
        assert words in text, words
    assert 'aria-current="page">Scaling' in text and "do not tell the two laws apart" in text


def test_only_software_with_ranks_has_the_tab(client: Client, ada: Any) -> None:
    water = draft(ada)
    client.force_login(ada)
    assert client.get(f"/calculations/{water.pk}/scaling/").status_code == 404
    assert "Scaling" not in client.get(f"/calculations/{water.pk}/").content.decode()
    refused = api(ada).get(f"/api/v1/calculations/{water.pk}/scaling/")
    assert refused.status_code == 409 and refused.json()["code"] == "no-ranks"
    assert "scaling" in TABS


def test_a_draft_is_told_the_first_step(client: Client, ada: Any) -> None:
    made = draft(ada, software="torch_inference")
    text = page(client, ada, made.pk)
    assert "Vary the ranks" in text and f"/calculations/{made.pk}/edit/" in text
    assert document(ada, made.pk)["works"] == []


def test_runs_that_lack_a_time_or_are_not_valid_are_left_out(ada: Any) -> None:
    made = calculation(ada, TIMES)
    made.quantities.filter(run__index=1, name="reduced_s").delete()
    Run.objects.filter(calculation=made, index=2).update(state="not_valid")
    (work,) = document(ada, made.pk)["works"]
    assert [point["ranks"] for point in work["points"]] == [1]
    assert work["start_up"] is None


def test_prices_come_from_the_cluster_until_others_are_entered(
    client: Client, ada: Any, root: Any
) -> None:
    made, site = calculation(ada, TIMES), cluster("metis")
    type(site).objects.filter(pk=site.pk).update(price_core_hour="0.036")
    Run.objects.filter(calculation=made).update(cluster=site)
    found = document(ada, made.pk)
    assert found["prices"]["core_hour"] == 0.036 and found["prices"]["source"] == "of metis"
    (work,) = found["works"]
    assert work["points"][0]["price"] == pytest.approx(0.036 * 21 / 3600)
    entered = document(ada, made.pk, core_hour="3.6")["works"][0]["points"][0]
    assert entered["price"] == pytest.approx(3.6 * 21 / 3600)
    assert "of metis" in page(client, ada, made.pk)


def test_a_deadline_changes_the_answer(ada: Any) -> None:
    made = calculation(ada, TIMES)
    assert document(ada, made.pk)["works"][0]["cheapest"]["on_cluster"] == 1
    cheapest = document(ada, made.pk, deadline=12)["works"][0]["cheapest"]
    assert cheapest["on_cluster_in_time"] == 2
    assert document(ada, made.pk, deadline=1)["works"][0]["cheapest"]["on_cluster_in_time"] is None


def test_others_of_the_same_work_stand_on_one_page(client: Client, ada: Any) -> None:
    one, two = calculation(ada, TIMES), calculation(ada, {8: 5.0})
    (work,) = document(ada, one.pk, **{"with": f"C-{two.pk}"})["works"]
    assert [point["ranks"] for point in work["points"]] == [1, 2, 4, 8]
    text = page(client, ada, one.pk, **{"with": str(two.pk)})
    assert f"C-{two.pk} run 1" in text and f"with=C-{two.pk}" not in text


def test_other_work_has_a_table_of_its_own(client: Client, ada: Any) -> None:
    one, two = calculation(ada, TIMES), calculation(ada, TIMES, samples=512)
    found = document(ada, one.pk, **{"with": str(two.pk)})
    assert [work["label"] for work in found["works"]] == ["2,048 samples", "512 samples"]
    names = {series["label"] for chart in found["charts"] for series in chart["y"]}
    assert "start to reduced result, 512 samples" in names


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"with": "water"}, "with"),
        ({"core_hour": "cheap"}, "core_hour"),
        ({"memory": "64"}, "memory"),
        ({"deadline": "-3"}, "deadline"),
        ({"gpu_hour": "inf"}, "gpu_hour"),
    ],
)
def test_bad_input_is_told_beside_its_field_and_the_page_stays(
    client: Client, ada: Any, query: dict[str, str], field: str
) -> None:
    made = calculation(ada, TIMES)
    refused = api(ada).get(f"/api/v1/calculations/{made.pk}/scaling/", query)
    assert refused.status_code == 400 and field in refused.json()["errors"]
    text = page(client, ada, made.pk, **query)
    assert f'id="id_{field}_error"' in text and "N = 4" in text


def test_what_others_do_not_show_cannot_be_brought_in(client: Client, ada: Any, eve: Any) -> None:
    shown, hidden = calculation(ada, TIMES), calculation(ada, {64: 3.0})
    private = ProjectFactory(private=True, members=[ada])
    Calculation.objects.filter(pk=hidden.pk).update(project=private)
    for ending in ("/", ".csv"):
        assert api(eve).get(f"/api/v1/calculations/{hidden.pk}/scaling{ending}").status_code == 404
        address = f"/api/v1/calculations/{shown.pk}/scaling{ending}?with={hidden.pk}"
        assert api(eve).get(address).status_code == 404
        assert api(ada).get(address).status_code == 200
    text = page(client, eve, shown.pk, **{"with": str(hidden.pk)})
    assert "in a project of others" in text and "N = 64" not in text


def test_what_has_no_ranks_is_no_company(ada: Any) -> None:
    made, water = calculation(ada, TIMES), draft(ada)
    refused = api(ada).get(f"/api/v1/calculations/{made.pk}/scaling/", {"with": str(water.pk)})
    assert refused.status_code == 400 and "no ranks" in refused.json()["errors"]["with"][0]


def test_the_table_for_spreadsheets_has_a_row_for_each_number_of_ranks(ada: Any) -> None:
    made = calculation(ada, TIMES)
    answer = api(ada).get(f"/api/v1/calculations/{made.pk}/scaling.csv")
    assert answer["Content-Disposition"].endswith(f'"C-{made.pk}-scaling.csv"')
    heads, *rows = csv.reader(io.StringIO(answer.content.decode()))
    assert [row[heads.index("Ranks")] for row in rows] == ["1", "2", "4"]
    assert rows[2][heads.index("Start until the reduced result / s")] == "7.0"


def test_the_charts_draw_what_was_measured(ada: Any) -> None:
    made = calculation(ada, TIMES)
    charts = {chart["name"]: chart for chart in document(ada, made.pk)["charts"]}
    assert set(charts) >= {"time", "speed_up", "efficiency", "start_up", "stragglers", "cost"}
    assert set(charts) >= {"memory_time", "memory_cost"}
    times = charts["time"]["y"][0]
    assert (times["x"], times["values"]) == ([1, 2, 4], [20.0, 11.0, 7.0])
    assert charts["speed_up"]["y"][-1]["values"] == [1, 2, 4]


def test_gpus_are_never_offered_as_functions(client: Client, ada: Any) -> None:
    made = calculation(ada, TIMES, device="cuda:0")
    assert "GPU-hours" in page(client, ada, made.pk)
    (work,) = document(ada, made.pk)["works"]
    assert work["cheapest"]["as_functions"] is None
    assert work["points"][0]["functions_price"] is None


def test_the_page_asks_as_often_for_many_runs_as_for_few(client: Client, ada: Any) -> None:
    few = calculation(ada, {1: 20.0})
    many = calculation(ada, {n: 20.0 / n + 1 for n in range(1, 21)})
    counts = []
    for made in (few, many):
        page(client, ada, made.pk)
        with CaptureQueriesContext(
            connection,
        ) as asked:
            page(client, ada, made.pk)
        counts.append(len(asked))
    assert counts[0] == counts[1]
    assert Calculation.objects.count() == 2
