"""The button “Test” against moto's server: how far it comes, which field it names then, and what
the page shows to whom.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from django.test import Client
from moto.core.authorization import enable_iam_authentication

from clusters.models import AwsAccess
from clusters.services import aws
from clusters.transports.aws import signing, tasks, trial
from clusters.transports.aws.clients import Clients
from labportal.common.sealing import seal
from tests.clusters.aws.conftest import Site
from tests.clusters.aws.machine import ASL, BUCKET, REGION, ROLE, Machine
from tests.clusters.aws.policies import as_moto_asks, policy

pytestmark = [pytest.mark.django_db, pytest.mark.xdist_group("aws")]

PAGE = "/clusters/cloud/agent/"
#: What is changed, how many steps go well then, what the next says, and what its remedy names.
WRONG: dict[str, tuple[dict[str, Any], int, str, str]] = {
    "secret sealed otherwise": ({"sealed_secret": "x"}, 0, "cannot be opened", "enter it again"),
    "nobody there": ({"endpoint_url": "http://127.0.0.1:9"}, 0, "did not answer", "“Endpoint”"),
    "no address": ({"endpoint_url": "http://-:99999"}, 0, "did not answer", "“Endpoint”"),
    "no such machine": (
        {"state_machine_arn": f"arn:aws:states:{REGION}:123456789012:stateMachine:other"},
        1,
        "no such state machine",
        "“State machine”",
    ),
    "another region": ({"region": "eu-west-1"}, 1, "no such state machine", "“State machine”"),
    "no such bucket": ({"bucket": "not-there"}, 2, "no such bucket", "“Bucket”"),
    "a bucket elsewhere": ({"bucket": "far-away"}, 2, "lies in eu-west-1", "“Bucket”"),
}


def tried(access: AwsAccess) -> tuple[int, str, str]:
    """Return how many steps went well, and what the first bad one found and advises."""
    access.refresh_from_db()
    well = trial.run(access)
    access.refresh_from_db()
    assert access.test_ended_at is not None
    good = [step for step in access.test_steps if step["ok"]]
    bad = [step for step in access.test_steps if not step["ok"]]
    assert (well, len(bad)) in ((True, 0), (False, 1))
    return len(good), *((bad[0]["found"], bad[0]["remedy"]) if bad else ("", ""))


def change(access: AwsAccess, **columns: Any) -> AwsAccess:
    AwsAccess.objects.update(**columns)
    access.refresh_from_db()
    return access


def test_all_steps_go_well_and_leave_nothing(site: Site, machine: Machine) -> None:
    change(site.access, failures=5, last_error="x", held_at=site.access.cluster.created_at)
    assert tried(site.access) == (5, "", "")
    assert [step["name"] for step in site.access.test_steps] == list(trial.NAMES)
    assert machine.keys() == []
    assert (site.access.failures, site.access.last_error, site.access.held_at) == (0, "", None)


@pytest.mark.parametrize("case", WRONG)
def test_each_failure_names_the_field_and_the_remedy(
    site: Site, machine: Machine, case: str
) -> None:
    changes, good, words, field = WRONG[case]
    machine.bucket("far-away", "eu-west-1")
    found = tried(change(site.access, **changes))
    assert found[0] == good
    assert words in found[1]
    assert field in found[2]


@pytest.mark.parametrize(
    ("kind", "definition", "words"),
    [
        ("EXPRESS", ASL.read_text(), "of the kind EXPRESS"),
        ("STANDARD", '{"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}', "no distributed"),
    ],
)
def test_another_state_machine_than_the_deployed_one_is_told(
    site: Site, machine: Machine, kind: str, definition: str, words: str
) -> None:
    made = machine.states.create_state_machine(
        name="other", definition=definition, roleArn=ROLE, type=kind
    )
    found = tried(change(site.access, state_machine_arn=made["stateMachineArn"]))
    assert found[0] == 1
    assert words in found[1]
    assert "“State machine”" in found[2]


# Keys


@pytest.fixture
def guarded(site: Site, machine: Machine) -> Iterator[Callable[..., AwsAccess]]:
    """Give the access the key of a user with these statements; AWS looks at keys from then on."""
    with ExitStack() as stack:

        def use(statements: list[dict[str, Any]]) -> AwsAccess:
            key = machine.user({"Version": "2012-10-17", "Statement": statements})
            stack.enter_context(enable_iam_authentication())
            secret = seal(key["SecretAccessKey"])
            return change(site.access, access_key_id=key["AccessKeyId"], sealed_secret=secret)

        yield use


def portals(*, without: str = "") -> list[dict[str, Any]]:
    document = policy("portal")
    for one in document["Statement"]:
        one["Action"] = [name for name in one["Action"] if name != without]
    return as_moto_asks({"Statement": [one for one in document["Statement"] if one["Action"]]})


def test_the_deployed_policy_is_enough(guarded: Callable[..., AwsAccess]) -> None:
    assert tried(guarded(portals())) == (5, "", "")


@pytest.mark.parametrize(
    ("action", "good"),
    [
        ("states:DescribeStateMachine", 1),
        ("s3:ListBucket", 2),
        ("s3:PutObject", 4),
        ("s3:GetObject", 4),
        ("s3:DeleteObject", 4),
    ],
)
def test_whatever_the_key_may_not_do_is_told(
    guarded: Callable[..., AwsAccess], action: str, good: int
) -> None:
    found = tried(guarded(portals(without=action)))
    assert found[0] == good
    assert "policy of deploy/aws" in found[2]


def test_a_key_that_aws_does_not_know_is_told(guarded: Callable[..., AwsAccess]) -> None:
    access = guarded(portals())
    found = tried(change(access, access_key_id="AKIANOBODY"))
    assert (found[0], "“Access key ID”" in found[2]) == (0, True)
    assert "does not know the access key" in found[1]


def test_a_secret_of_another_key_is_told(guarded: Callable[..., AwsAccess]) -> None:
    access = guarded(portals())
    found = tried(change(access, sealed_secret=seal("of another")))
    assert (found[0], "“Secret access key”" in found[2]) == (0, True)
    assert "does not belong to the access key" in found[1]


# What is no AWS, and what nobody foresaw


class _Page(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        content = b"<!doctype html><title>Sign in to the network</title>"
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def test_an_endpoint_that_is_no_aws_is_told(site: Site) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Page)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        address = f"http://127.0.0.1:{server.server_port}"
        found = tried(change(site.access, endpoint_url=address))
    finally:
        server.shutdown()
        server.server_close()
    assert (found[0], "“Endpoint”" in found[2]) == (0, True)


def test_a_defect_of_the_portal_ends_the_test_as_well(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise KeyError("x")

    monkeypatch.setattr(signing, "client", broken)
    assert tried(site.access)[:2] == (0, "The portal failed: KeyError.")


def test_a_file_that_comes_back_changed_is_told(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Clients, "read", lambda *_: b"another")
    found = tried(site.access)
    assert found[0] == 4
    assert "“Folder of runs”" in found[2]


# The page


@pytest.mark.parametrize("case", ["no such bucket", "nobody there"])
def test_the_button_leads_to_the_words_on_the_page(
    site: Site, client: Client, root: Any, enqueued: Any, case: str
) -> None:
    changes, good, words, field = WRONG[case]
    change(site.access, **changes)
    client.force_login(root)
    answer = client.post("/clusters/cloud/aws/test/", follow=True)
    assert answer.redirect_chain == [(PAGE, 302)]
    assert "the steps appear here by themselves" in answer.content.decode()
    assert enqueued[-1] == ("test", site.access.pk)
    tasks.test(site.access.pk)
    shown = client.get(PAGE).content.decode()
    assert shown.count('<span class="state is-ok">Good</span>') >= good
    assert '<span class="state is-failed">Failed</span>' in shown
    assert words in shown
    assert field in shown
    assert "Not done" in shown


def test_a_second_press_waits_for_the_first(site: Site, client: Client, root: Any) -> None:
    client.force_login(root)
    client.post("/clusters/cloud/aws/test/")
    answer = client.post("/clusters/cloud/aws/test/", follow=True)
    assert "A test goes on; wait for its end." in answer.content.decode()


@pytest.mark.parametrize("name", ["ada", "max", "eve"])
def test_others_neither_press_it_nor_see_the_way(
    site: Site, client: Client, request: pytest.FixtureRequest, enqueued: Any, name: str
) -> None:
    before = list(enqueued)
    client.force_login(request.getfixturevalue(name))
    assert client.post("/clusters/cloud/aws/test/").status_code == 403
    assert client.post("/clusters/cloud/aws/resume/").status_code == 403
    assert client.get("/clusters/cloud/aws/").status_code == 403
    shown = client.get(PAGE).content.decode()
    assert site.access.state_machine_arn not in shown
    assert BUCKET not in shown
    assert enqueued == before
    assert aws.is_testing(AwsAccess.objects.get()) is False


def test_the_interface_tells_the_steps_and_no_secret(site: Site, client: Client, root: Any) -> None:
    tried(change(site.access, bucket="not-there"))
    client.force_login(root)
    found = client.get("/api/v1/clusters/cloud/aws/")
    steps = found.json()["steps"]
    assert [step["ok"] for step in steps] == [True, True, False, None, None]
    assert "“Bucket”" in steps[2]["remedy"]
    assert "sealed_secret" not in json.dumps(found.json())
