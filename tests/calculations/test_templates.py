"""Templates: what a calculation starts from is kept under a name, and says what no longer fits."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from calculations.models import Template
from calculations.services import templates
from labportal.accounts.models import User
from labportal.common.errors import InvalidInput, NotAllowed
from tests.calculations.factories import draft

pytestmark = pytest.mark.django_db


@pytest.fixture
def kept(ada: User) -> Template:
    sweep = {"parameter": "field_z", "values": [0.0, 0.01], "mode": "chain"}
    calculation = draft(
        ada,
        software="pyscf",
        parameters={"max_cycles": 77},
        sweep=sweep,
        cores=2,
        walltime_s=120,
    )
    return templates.save(calculation, name="  Water   in fields ", actor=ada)


def test_a_template_keeps_what_was_set_and_gives_it_back(kept: Template) -> None:
    assert kept.name == "Water in fields"
    started, problems = templates.start(kept)
    assert problems == []
    assert started.pk is None
    assert started.parameters["max_cycles"] == 77
    assert (started.cores, started.walltime_s) == (2, 120)
    assert [axis["parameter"] for axis in started.sweep["axes"]] == ["field_z"]


def test_a_name_is_needed_and_taken_once_in_a_project(kept: Template, ada: User) -> None:
    other = draft(ada)
    with pytest.raises(InvalidInput) as empty:
        templates.save(other, name="  ", actor=ada)
    assert "name" in empty.value.field_errors
    with pytest.raises(InvalidInput) as taken:
        templates.save(other, name="Water in fields", actor=ada)
    assert "is taken" in str(taken.value.field_errors["name"])
    assert Template.objects.count() == 1


def test_what_no_longer_fits_is_said_and_left_out(kept: Template) -> None:
    kept.content["parameters"]["telepathy"] = True
    kept.content["parameters"]["max_cycles"] = -5
    kept.content["analyses"] = ["dipole", "horoscope"]
    kept.content["cluster"] = "gone"
    started, problems = templates.start(kept)
    said = " ".join(problems)
    assert all(word in said for word in ("telepathy", "max_cycles", "horoscope", "gone"))
    assert "telepathy" not in started.parameters
    assert started.analyses == ["dipole"]
    assert started.cluster is None


def test_a_template_of_software_that_is_gone_says_so(kept: Template) -> None:
    kept.software = "abacus"
    with pytest.raises(InvalidInput, match="abacus"):
        templates.start(kept)


def test_only_its_author_and_moderators_change_it(
    kept: Template, ada: User, max: User, eve: User
) -> None:
    with pytest.raises(NotAllowed):
        templates.change(kept, name="Mine", description="", actor=eve)
    templates.change(kept, name="Ours", description="for all", actor=max)
    with pytest.raises(NotAllowed):
        templates.delete(kept, actor=eve)
    templates.delete(kept, actor=ada)
    assert not Template.objects.exists()


def test_a_new_calculation_starts_from_a_template(kept: Template, ada: User) -> None:
    client = Client()
    client.force_login(ada)
    page = client.get(reverse("calculation-new"), {"template": kept.pk})
    assert page.status_code == 200
    form = page.context["form"]
    assert form.software.name == "pyscf"
    assert form["p_max_cycles"].value() == "77"
    assert form["name"].value() == "Water in fields"
    plain = client.get(reverse("calculation-new")).content.decode()
    assert f"?template={kept.pk}" in plain


def test_a_calculation_is_saved_as_a_template_and_found_in_the_list(ada: User) -> None:
    calculation = draft(ada, name="Benzene")
    client = Client()
    client.force_login(ada)
    address = reverse("calculation-template", args=[calculation.pk])
    assert client.post(address, {"name": "Rings", "note": "π systems"}).status_code == 302
    page = client.get(reverse("template-list"), {"text": "rin"}).content.decode()
    assert "Rings" in page and "π systems" in page
    assert "Rings" not in client.get(reverse("template-list"), {"text": "zzz"}).content.decode()


def test_the_interface_saves_renames_and_deletes(ada: User) -> None:
    calculation = draft(ada)
    client = Client()
    client.force_login(ada)
    made = client.post(
        "/api/v1/templates/", {"calculation": calculation.pk, "name": "A"}, "application/json"
    )
    assert made.status_code == 201
    one = f"/api/v1/templates/{made.json()['id']}/"
    assert client.patch(one, {"name": "B"}, "application/json").json()["name"] == "B"
    assert client.get(one).json()["content"]["cores"] == calculation.cores
    assert client.delete(one).status_code == 204
    assert client.get(one).status_code == 404
