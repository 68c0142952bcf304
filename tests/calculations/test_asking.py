"""What a run may ask of its machine: shares, names, licences, and what no cluster can ever give."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from calculations.models import Calculation
from calculations.services import asking, drafts, submission, templates
from calculations.software.base import Resources
from clusters.models import Cluster, Licence
from labportal.accounts.models import User
from labportal.common.errors import InvalidInput
from tests.calculations.factories import draft
from tests.calculations.rest import api
from tests.clusters.factories import cluster
from tests.factories import default_project

pytestmark = pytest.mark.django_db

SITE = {
    "slots": {"total": 200, "free": 200},
    "software": {"noop": {"version": "1", "ok": True, "problem": ""}},
    "scheduler": {
        "kind": "slurm",
        "answers": True,
        "limits": {
            "partitions": [
                {
                    "name": "debug",
                    "max_walltime_s": 3600,
                    "max_nodes": 2,
                    "cores_per_node": 16,
                    "memory_per_node_mib": 65536,
                    "gpus_per_node": 0,
                    "default": True,
                },
                {
                    "name": "long",
                    "max_walltime_s": 864000,
                    "max_nodes": 8,
                    "cores_per_node": 64,
                    "memory_per_node_mib": 262144,
                    "gpus_per_node": 4,
                    "default": False,
                },
            ],
            "accounts": ["chem", "phys"],
            "qos": ["normal"],
        },
    },
}


@pytest.fixture
def site() -> Cluster:
    return cluster("hpc", capacity=SITE)


@pytest.mark.parametrize(
    ("asked", "field", "words"),
    [
        ({"cores": 10, "tasks": 4}, "cores", "take 8 or 12"),
        ({"cores": 2, "nodes": 4}, "cores", "at least 1 for each of 4 nodes"),
        ({"cores": 8, "nodes": 4, "tasks": 2}, "tasks", "4 nodes, or 0"),
        ({"cores": 4, "nodes": 2, "gpus": 3}, "gpus", "multiple of 2 nodes"),
        ({"gpu_type": "a100"}, "gpu_type", "say how many"),
        ({"nodes": 0}, "nodes", "between 1 and"),
        ({"gpus": -1}, "gpus", "between 0 and"),
        ({"partition": "de bug"}, "partition", "no spaces"),
        ({"account": "x\nscancel"}, "account", "no spaces"),
        ({"qos": "-W"}, "qos", "as the site writes it"),
        ({"account": "größe"}, "account", "letters"),
        ({"partition": 'a"b'}, "partition", "letters"),
        ({"licences": ("mat lab:1",)}, "licences", "matlab:2"),
        ({"licences": ("matlab:0",)}, "licences", "matlab:2"),
    ],
)
def test_what_can_never_be_right_is_said_beside_its_field(
    asked: dict[str, Any], field: str, words: str
) -> None:
    assert words in asking.problems(Resources(**asked))[field]


def test_what_is_sound_passes() -> None:
    asked = Resources(
        cores=64, nodes=2, tasks=8, gpus=4, gpu_type="a100", partition="long", account="c-1_x@y"
    )
    assert asking.problems(asked) == {}


@given(st.text(max_size=120))
def test_no_name_with_a_space_or_a_sign_of_the_shell_gets_through(text: str) -> None:
    found = asking.problems(Resources(partition=text))
    if any(c in text for c in " \t\n'\"`$;&|<>\\(){}[]*?!#~%^,=\0") or text.startswith("-"):
        assert "partition" in found


def test_the_labs_licences_are_known_and_others_are_the_sites(site: Cluster) -> None:
    Licence.objects.create(name="matlab", seats=2)
    assert asking.problems(Resources(licences=("matlab:2",))) == {}
    too_many = asking.problems(Resources(licences=("matlab:3",)))
    assert too_many == {"licences": "asks for 3 of matlab; the lab has 2"}
    unknown = asking.problems(Resources(licences=("vasp",)))["licences"]
    assert "known are matlab" in unknown
    assert asking.problems(Resources(licences=("vasp",)), cluster=site) == {}


def test_beyond_a_partition_the_remedy_names_one_that_fits(ada: User, site: Cluster) -> None:
    calculation = draft(ada, cluster=site, walltime_s=7200)
    with pytest.raises(InvalidInput) as refused:
        submission.submit(calculation, actor=ada)
    assert refused.value.errors == {
        "cluster": "hpc allows at most 1 h 00 min in its partition debug, and 2 h 00 min is "
        "asked for: choose the partition long, or ask for less"
    }
    longer = draft(ada, cluster=site, walltime_s=7200, partition="long")
    submission.submit(longer, actor=ada)
    assert longer.state in ("queued", "in_review")


def test_an_account_that_the_site_does_not_have_is_refused(ada: User, site: Cluster) -> None:
    problem = asking.cluster_problem(site, Resources(account="maths"))
    assert problem == "hpc has no account maths for us: choose chem or phys, or leave it empty"


def test_what_no_cluster_can_ever_run_is_refused_with_the_reasons(ada: User, site: Cluster) -> None:
    with pytest.raises(InvalidInput) as refused:
        submission.submit(draft(ada, cores=4096, nodes=4), actor=ada)
    assert refused.value.errors["cluster"].startswith("none can run it: hpc ")
    site.capacity = {**SITE, "scheduler": {}}
    site.save()
    submission.submit(draft(ada, cores=4096), actor=ada)  # its agent tells no limits


def test_copies_and_templates_keep_what_is_asked_for(ada: User, site: Cluster) -> None:
    asked = {"nodes": 2, "cores": 8, "gpus": 2, "partition": "long", "licences": ["vasp:1"]}
    calculation = draft(ada, cluster=site, **asked)
    copy = drafts.duplicate(calculation, actor=ada)
    started, problems = templates.start(templates.save(calculation, name="Big", actor=ada))
    assert problems == []
    for made in (Calculation.objects.get(pk=copy.pk), started):
        assert {name: getattr(made, name) for name in asked} == asked
    assert calculation.resources.licences == ("vasp:1",)


def test_the_interface_takes_and_tells_them(ada: User, site: Cluster) -> None:
    document = {
        "name": "Wide",
        "software": "noop",
        "cluster": "hpc",
        "cores": 32,
        "nodes": 2,
        "gpus": 4,
        "partition": "long",
        "exclusive": True,
    }
    site.price_core_hour, site.price_gpu_hour = 0.01, 0.5
    site.save()
    client = api(ada)
    made = client.post("/api/v1/calculations/", document, format="json").json()
    assert {name: made[name] for name in document} == document
    told = client.post("/api/v1/calculations/preview/", document, format="json").json()
    assert told["gpu_hours"] == pytest.approx(4 * 600 / 3600)
    assert told["price"] == pytest.approx(0.01 * told["core_hours"] + 0.5 * told["gpu_hours"])
    assert told["clusters"] == [{"cluster": "hpc", "why_not": ""}]
    document |= {"partition": "debug"}
    told = client.post("/api/v1/calculations/preview/", document, format="json").json()
    assert "debug" in told["clusters"][0]["why_not"]
    refused = client.post("/api/v1/calculations/", document | {"qos": "a b"}, format="json")
    assert refused.status_code == 400
    assert "no spaces" in refused.json()["errors"]["qos"][0]


def test_the_form_offers_what_the_site_has_and_says_what_is_too_much(
    client: Client, ada: User, site: Cluster
) -> None:
    client.force_login(ada)
    form = {"software": "noop", "name": "x", "cluster": "hpc", "cores": "4", "memory_gib": "1"}
    form |= {"walltime_min": "120", "project": default_project().slug}
    page = client.post("/calculations/preview/", form).content.decode()
    assert '<option value="long">' in page
    assert "choose the partition long, or ask for less" in page
    form |= {"partition": "long", "gpus": "2"}
    page = client.post("/calculations/preview/", form).content.decode()
    assert "or ask for less" not in page
    assert "4.00 GPU-h" in page
    form |= {"cluster": ""}
    assert "Can run it: hpc." in client.post("/calculations/preview/", form).content.decode()
