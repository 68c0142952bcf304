"""Analyses computed from stored results: what is replaced, what is refused, who may, and when."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.db import transaction
from django.urls import reverse

from calculations import tasks
from calculations.models import AnalysisResult, Calculation
from calculations.selectors import calculations
from calculations.services import reanalysis, results
from calculations.software.base import Analysis, NotComputable
from calculations.software.registry import get_software
from calculations.software.results import Quantity, Results
from labportal.common.errors import InvalidInput, NotAllowed, WrongMoment
from tests.calculations.factories import draft
from tests.calculations.recorded import water_sweep
from tests.calculations.rest import api
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def water(ada, root) -> Calculation:
    return water_sweep(ada, root)


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """The worker works as soon as it is asked."""
    moment = SimpleNamespace(atomic=transaction.atomic, on_commit=lambda act: act())
    monkeypatch.setattr(reanalysis, "transaction", moment)

    def work(name, args):
        assert name == tasks.reanalyse.name
        tasks.reanalyse(*args)

    monkeypatch.setattr(reanalysis, "current_app", SimpleNamespace(send_task=work))


def define(monkeypatch, *analyses: Analysis) -> None:
    """Give PySCF these analyses beside its own; of the same name, they replace it."""
    software = get_software("pyscf")
    own = [a for a in software.analyses if a.name not in {new.name for new in analyses}]
    monkeypatch.setattr(type(software), "analyses", (*own, *analyses))


def twice(name="twice", value=2.0, **more):
    def compute(found, parameters):
        energy = found.quantity("total_energy").value
        return Results((Quantity(name, "Twice the energy", value * energy, "eV"),))

    return Analysis(name, "Twice", "run", compute, **more)


def rows(calculation):
    found = AnalysisResult.objects.filter(calculation=calculation).order_by("name", "run__index")
    return list(found.values_list("name", "version", "status", "run__index", "input_sha256"))


def test_an_analysis_of_runs_is_computed_without_a_new_run(water, ada, monkeypatch):
    define(monkeypatch, twice())
    reanalysis.reanalyse(water, ["twice"], actor=ada)
    for run in water.runs.all():
        energy = run.quantities.get(name="total_energy").number
        assert run.quantities.get(name="twice").number == pytest.approx(2 * energy)
    water.refresh_from_db()
    assert "twice" in water.analyses
    event = water.events.filter(verb="reanalyse").latest("id")
    assert (event.note, event.actor) == ("Twice, version 1", ada)


def test_the_same_again_gives_the_same_rows(water, ada, monkeypatch):
    define(monkeypatch, twice())
    reanalysis.reanalyse(water, ["twice"], actor=ada)
    before = rows(water), water.quantities.count(), water.datasets.count()
    reanalysis.reanalyse(water, ["twice"], actor=ada)
    assert (rows(water), water.quantities.count(), water.datasets.count()) == before
    assert all(digest for *_, digest in before[0])


def test_a_newer_version_replaces_the_old_results(water, ada, monkeypatch):
    define(monkeypatch, twice())
    reanalysis.reanalyse(water, ["twice"], actor=ada)
    define(monkeypatch, twice(value=3.0, version=2))
    assert reanalysis.outdated_names(water) == ["twice"]
    assert list(reanalysis.outdated(calculations(ada))) == [water]
    assert reanalysis.ask_outdated(calculations(ada), actor=ada) == 1
    assert reanalysis.outdated_names(water) == []
    run = water.runs.first()
    assert run.quantities.get(name="twice").number == pytest.approx(
        3 * run.quantities.get(name="total_energy").number
    )


def test_nothing_of_others_is_computed_anew(water, ada, eve, monkeypatch):
    define(monkeypatch, twice())
    reanalysis.reanalyse(water, ["twice"], actor=ada)
    define(monkeypatch, twice(version=2))
    assert reanalysis.ask_outdated(Calculation.objects.none(), actor=eve) == 0


def test_an_analysis_across_runs_is_computed_from_them(water, ada, monkeypatch):
    def mean(runs):
        energies = [found.quantity("twice").value for _, found in runs]
        return Results((Quantity("mean", "Mean", sum(energies) / len(energies), "eV"),))

    define(monkeypatch, twice(), Analysis("mean", "Mean", "calculation", mean, ("twice",)))
    assert reanalysis.ask(water, ["mean"], actor=ada, complete=True) == ["twice", "mean"]
    stored = water.quantities.get(name="mean", run=None)
    energies = water.quantities.filter(name="total_energy").values_list("number", flat=True)
    assert stored.number == pytest.approx(2 * sum(energies) / len(energies))


def test_what_it_rests_on_is_named_where_it_is_missing(water, ada, monkeypatch):
    define(monkeypatch, twice(), twice("more", requires=("twice",)))
    with pytest.raises(InvalidInput, match="more need twice"):
        reanalysis.ask(water, ["more"], actor=ada)
    reanalysis.reanalyse(water, ["twice"], actor=ada)
    water.refresh_from_db()
    assert reanalysis.ask(water, ["more"], actor=ada) == ["more"]
    assert water.quantities.filter(name="more").count() == 5


def test_what_it_rests_on_may_be_stored_already(water, ada, monkeypatch):
    def beyond(found, parameters):
        return Results((Quantity("beyond", "Beyond", found.quantity("twice").value + 1, "eV"),))

    define(monkeypatch, twice(), Analysis("beyond", "Beyond", "run", beyond, ("twice",)))
    reanalysis.reanalyse(water, ["twice"], actor=ada)
    reanalysis.reanalyse(water, ["beyond"], actor=ada)
    run = water.runs.last()
    assert run.quantities.get(name="beyond").number == pytest.approx(
        run.quantities.get(name="twice").number + 1
    )


def test_why_it_cannot_be_computed_is_kept(water, ada, monkeypatch):
    def missing(found, parameters):
        raise NotComputable("the run computed no spectrum: switch it on")

    def broken(found, parameters):
        return 1 / 0

    define(
        monkeypatch,
        Analysis("spectrum", "Spectrum", "run", missing),
        Analysis("broken", "Broken", "run", broken),
        twice("after", requires=("spectrum",)),
    )
    reanalysis.reanalyse(water, ["spectrum", "broken", "after"], actor=ada)
    found = {
        row.name: (row.status, row.problem)
        for row in water.analysis_results.filter(run=water.runs.first())
    }
    assert found["spectrum"] == ("missing", "the run computed no spectrum: switch it on")
    assert found["broken"][0] == "failed"
    assert "division by zero" in found["broken"][1]
    assert found["after"][1].startswith("rests on spectrum: the run computed no spectrum")
    assert not water.quantities.filter(name="after").exists()


def test_an_unknown_name_and_no_name_are_refused(water, ada):
    for names in (["nonsense"], []):
        with pytest.raises(InvalidInput) as refused:
            reanalysis.ask(water, names, actor=ada)
        assert refused.value.field == "analyses"


def test_without_a_valid_run_there_is_nothing_to_analyse(ada):
    unsubmitted = draft(ada, software="pyscf")
    with pytest.raises(WrongMoment, match="no valid run"):
        reanalysis.ask(unsubmitted, ["orbitals"], actor=ada)


def test_who_may_not_calculate_may_not_analyse(water, monkeypatch):
    blocked = UserFactory(username="bob", role="user", is_active=False)
    with pytest.raises(NotAllowed):
        reanalysis.ask(water, ["orbitals"], actor=blocked)


def test_a_run_that_changed_meanwhile_keeps_what_it_reported(water, ada, monkeypatch):
    first = water.runs.first()

    def slow(found, parameters):
        water.runs.filter(pk=first.pk).update(attempt=first.attempt + 1, state="running")
        return Results((Quantity("slow", "Slow", 1.0),))

    define(monkeypatch, Analysis("slow", "Slow", "run", slow))
    reanalysis.reanalyse(water, ["slow"], actor=ada)
    assert not first.quantities.filter(name="slow").exists()
    assert water.quantities.filter(name="slow").count() == 4


def test_results_across_runs_say_what_their_runs_miss(water):
    water.analysis_results.filter(name="dipole").update(status="missing", problem="no dipole there")
    results.analyse(water.pk)
    row = water.analysis_results.get(name="polarizability")
    assert (row.status, row.problem) == ("missing", "rests on dipole: no dipole there")


def test_the_interface_computes_and_refuses(water, ada, eve, monkeypatch):
    define(monkeypatch, twice(), twice("more", requires=("twice",)))
    url = reverse("api-calculation-analyses", args=[water.pk])
    refused = api(ada).post(url, {"names": ["more"]}, format="json")
    assert refused.status_code == 400
    assert "twice" in str(refused.json())
    done = api(ada).post(url, {"names": ["more"], "complete": True}, format="json")
    assert (done.status_code, done.json()["names"]) == (202, ["twice", "more"])
    assert api(ada).post(url, {"names": []}, format="json").status_code == 400


def test_the_page_shows_how_each_stands_and_computes(water, ada, client, monkeypatch):
    define(monkeypatch, twice())
    client.force_login(ada)
    page = client.get(reverse("calculation-detail", args=[water.pk, "results"]))
    assert "available" in page.text
    answer = client.post(reverse("calculation-analyses", args=[water.pk]), {"analyses": "twice"})
    assert answer.url.endswith("#analyses")
    assert water.quantities.filter(name="twice").count() == 5
    define(monkeypatch, twice(version=2))
    page = client.get(reverse("calculation-detail", args=[water.pk, "results"]))
    assert "outdated, version 1 of 2" in page.text
    assert "Compute outdated again" in page.text


def test_a_draft_completes_or_refuses_its_choice(ada):
    wishes = {"software": "pyscf", "analyses": ["polarizability"]}
    with pytest.raises(InvalidInput) as refused:
        draft(ada, **wishes)
    assert "dipole" in refused.value.errors["analyses"]
    assert draft(ada, **wishes, complete=True).analyses == ["dipole", "polarizability"]


def test_the_usual_choice_leaves_out_what_would_find_nothing(ada):
    chosen = draft(ada, software="pyscf").analyses
    assert "polarizability" not in chosen
    field = {"parameter": "field_z", "values": [0, 0.01], "mode": "independent"}
    assert "polarizability" in draft(ada, software="pyscf", sweep=field).analyses
    charge = {"parameter": "charge", "values": [0, 2], "mode": "independent"}
    assert "polarizability" not in draft(ada, software="pyscf", sweep=charge).analyses


def test_how_far_it_is_is_told_and_forgotten(water, ada, monkeypatch):
    seen = []

    def watched(found, parameters):
        seen.append(reanalysis.progress_of(water))
        return Results((Quantity("watched", "Watched", 1.0),))

    monkeypatch.setattr(reanalysis, "BATCH", 2)
    define(monkeypatch, Analysis("watched", "Watched", "run", watched))
    reanalysis.ask(water, ["watched"], actor=ada)
    assert [(p.done, p.of) for p in seen] == [(0, 0), (0, 0), (2, 5), (2, 5), (4, 5)]
    assert reanalysis.progress_of(water) is None
