"""What is counted as used: by whom, when, how it fades, and that it can be counted anew."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from calculations.models import Attempt, LabSettings, Run
from calculations.overviews import use_this_month
from calculations.services import lifecycle
from clusters import placement, usage
from clusters.models import Usage
from clusters.selectors.fair_share import fair_share
from labportal.common.clock import now
from tests.calculations.factories import submitted
from tests.clusters.factories import Agent, cluster, finished
from tests.clusters.test_storage import signed_in
from tests.clusters.test_waiting import settings
from tests.factories import ProjectFactory, default_project

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)

Ended = Callable[..., Run]


@pytest.fixture
def ended(root: Any, django_capture_on_commit_callbacks: Any) -> Ended:
    """Runs to the end on a cluster: `ended(ada, elapsed_s=60, cores=2)`."""
    settings()
    agent = Agent(cluster(slots=50), root)

    def run_one(actor: Any, *, elapsed_s: float = 3600.0, **wishes: Any) -> Run:
        run = submitted(actor, **wishes).runs.get()
        placement.place()
        agent.exchange()
        use = {"elapsed_s": elapsed_s, "cpu_s": 1.0, "max_rss_mib": 1.0}
        agent.tell(run.pk, "finished", **finished(usage=use))
        with django_capture_on_commit_callbacks(execute=True):
            agent.exchange()
        run.refresh_from_db()
        return run

    return run_one


def counted(actor: Any) -> float:
    return sum(Usage.objects.filter(user=actor).values_list("core_s", flat=True))


def test_an_end_is_charged_to_its_author_in_its_project(ended: Ended, ada: Any, max: Any) -> None:
    project = ProjectFactory(name="Other")
    ended(ada, elapsed_s=100, cores=2)
    ended(ada, elapsed_s=50)
    ended(ada, elapsed_s=7, project=project)
    ended(max, elapsed_s=1)
    rows = Usage.objects.values_list("project__name", "user__username", "core_s")
    assert {(p, u): round(s, 1) for p, u, s in rows} == {
        (default_project().name, "ada"): 250.0,
        ("Other", "ada"): 7.0,
        (default_project().name, "max"): 1.0,
    }


def test_a_gpu_counts_as_the_settings_say(ended: Ended, ada: Any) -> None:
    LabSettings.objects.update(gpu_weight=10)
    run = ended(ada, elapsed_s=0)
    Usage.objects.all().delete()
    run.calculation.gpus = 3
    attempt = Attempt.objects.get(run=run)
    attempt.run, attempt.elapsed_s = run, 2.0
    usage.charge([attempt])
    assert counted(ada) == pytest.approx((1 + 3 * 10) * 2)


def test_use_fades_by_its_half_life(ended: Ended, ada: Any) -> None:
    LabSettings.objects.update(half_life_days=2)
    ended(ada, elapsed_s=800)
    Usage.objects.update(at=now() - 4 * DAY)
    account = (default_project().pk, ada.pk)
    assert usage.used(now(), 2 * 86400)[account] == pytest.approx(200, rel=1e-3)
    ended(ada, elapsed_s=100)
    assert counted(ada) == pytest.approx(300, rel=1e-3)


def test_what_was_lost_is_not_charged_and_what_was_cancelled_is(
    ended: Ended, ada: Any, root: Any, django_capture_on_commit_callbacks: Any
) -> None:
    agent = Agent(cluster("tesla", slots=9), root)
    site = {"cluster": agent.cluster}
    lost, cancelled = submitted(ada, **site), submitted(ada, **site)
    placement.place()
    agent.exchange()
    for calculation in (lost, cancelled):
        agent.tell(calculation.runs.get().pk, "running")
    agent.exchange()
    Run.objects.update(started_at=now() - timedelta(seconds=60))
    lifecycle.cancel(cancelled, actor=ada)
    agent.tell(lost.runs.get().pk, "lost", why="the node failed")
    agent.tell(cancelled.runs.get().pk, "cancelled")
    with django_capture_on_commit_callbacks(execute=True):
        agent.exchange()
    assert counted(ada) == pytest.approx(60, abs=5)


def test_it_is_counted_anew_from_the_attempts(ended: Ended, ada: Any, max: Any) -> None:
    ended(ada, elapsed_s=100, cores=2)
    ended(max, elapsed_s=30)
    kept = {user.pk: counted(user) for user in (ada, max)}
    Usage.objects.filter(user=ada).update(core_s=9e9)
    Usage.objects.filter(user=max).delete()
    said = StringIO()
    call_command("rebuild_usage", stdout=said)
    assert said.getvalue() == "2 accounts counted.\n"
    assert {u.pk: counted(u) for u in (ada, max)} == pytest.approx(kept, rel=1e-3)
    Attempt.objects.update(recorded_at=now() - 7 * DAY)
    usage.rebuild()
    assert counted(ada) == pytest.approx(kept[ada.pk] / 2, rel=1e-3)


def test_the_use_of_the_month_stays_what_it_is(ended: Ended, ada: Any) -> None:
    ended(ada, elapsed_s=1800, cores=4)
    Usage.objects.update(core_s=0)
    assert use_this_month(ada).core_hours == pytest.approx(2.0)


def test_everybody_sees_their_own_standing_and_moderators_all(
    ended: Ended, ada: Any, eve: Any, max: Any
) -> None:
    secret = ProjectFactory(name="Secret plan", slug="secret", private=True, members=[eve])
    ended(ada, elapsed_s=100)
    ended(eve, elapsed_s=900, project=secret)
    mine = signed_in(ada).get("/fair-share/").content.decode()
    assert "Your standing" in mine
    assert "Secret plan" not in mine
    assert eve.display_name not in mine
    all_of_it = signed_in(max).get("/fair-share/").content.decode()
    assert "Secret plan" in all_of_it
    assert eve.display_name in all_of_it
    assert "Your fair share" in signed_in(ada).get("/profile/").content.decode()
    lines = fair_share(max).lines
    assert [line.user.username for line in lines] == ["ada", "eve"]
    assert lines[0].factor > lines[1].factor


def test_the_page_costs_the_same_for_few_and_many(
    ended: Ended, ada: Any, max: Any, django_assert_max_num_queries: Any
) -> None:
    client = signed_in(max)
    ended(ada)
    client.get("/fair-share/")
    with django_assert_max_num_queries(30) as few:
        client.get("/fair-share/")
    for number in range(4):
        ended(ada, project=ProjectFactory(name=f"P{number}"))
        submitted(max, project=ProjectFactory(name=f"Q{number}"))
    with django_assert_max_num_queries(len(few)):
        client.get("/fair-share/")
