"""What admins do about the way to a cluster in AWS: services, pages and the API."""

from __future__ import annotations

from typing import Any

import pytest
from botocore import exceptions
from botocore.parsers import ResponseParserError
from django.test import Client
from kombu.exceptions import OperationalError
from rest_framework.test import APIClient

from clusters.models import AwsAccess, Cluster
from clusters.selectors.health import checks
from clusters.services import aws, clusters
from clusters.transports.aws import tasks
from clusters.transports.aws.troubles import ANSWERS, Code, named
from clusters.transports.trials import Trouble
from labportal.audit.models import AuditEntry
from labportal.common.clock import now
from labportal.common.errors import InvalidInput, NotAllowed, Unavailable, WrongMoment
from labportal.common.sealing import unseal

ARN = "arn:aws:states:eu-central-1:123456789012:stateMachine:labportal"
PLACE = {"region": "eu-central-1", "state_machine_arn": ARN, "bucket": "lab-bucket"}
KEY = {"access_key_id": "AKIATEST", "secret": "s3cr3t"}
PAGE = "/clusters/cloud/agent/"
FORM = "/clusters/cloud/aws/"


@pytest.fixture
def empty(root: Any, enqueued: Any) -> Cluster:
    """Registered, and nothing said yet."""
    return clusters.register(name="cloud", carrier=Cluster.Carrier.AWS, actor=root)


@pytest.fixture
def cloud(empty: Cluster, root: Any) -> Cluster:
    aws.set_up(empty, **PLACE, **KEY, actor=root)
    return empty


@pytest.fixture
def page(client: Client, root: Any) -> Client:
    client.force_login(root)
    return client


WRONG = [
    ({"region": "Frankfurt"}, "region", "such as eu-central-1"),
    ({"region": "us-east-1"}, "region", "The state machine is in eu-central-1"),
    ({"state_machine_arn": "labportal"}, "state_machine_arn", "Enter the whole ARN"),
    ({"bucket": "Lab"}, "bucket", "lower-case letters"),
    ({"prefix": "a/../b"}, "prefix", "a folder such as labportal"),
    ({"prefix": ""}, "prefix", "a folder such as labportal"),
    ({"data_prefix": "labportal/data"}, "data_prefix", "need folders apart"),
    ({"data_prefix": "data sets"}, "data_prefix", "a folder such as data"),
    ({"endpoint_url": "ftp://x"}, "endpoint_url", "such as https://vpce-1.example"),
    ({"access_key_id": "akia test"}, "access_key_id", "the ID of an access key"),
    ({"access_key_id": "AKIAOTHER", "secret": ""}, "secret", "the secret of this key"),
    ({"access_key_id": ""}, "access_key_id", "the ID of the key as well"),
    ({"secret": "two\nlines"}, "secret", "no secret access key"),
    ({"secret": "x" * 201}, "secret", "no secret access key"),
    ({"memory_mib": 64}, "memory_mib", "128"),
    ({"timeout_s": 901}, "timeout_s", "900"),
    ({"price_request": 2}, "price_request", "1"),
]


@pytest.mark.django_db
@pytest.mark.parametrize(("changes", "field", "words"), WRONG)
def test_what_is_wrong_is_said_beside_its_field(
    cloud: Cluster, root: Any, changes: dict[str, Any], field: str, words: str
) -> None:
    before = AwsAccess.objects.values().get()
    with pytest.raises(InvalidInput) as refusal:
        aws.set_up(cloud, **{**PLACE, **KEY, **changes}, actor=root)
    assert list(refusal.value.errors) == [field]
    assert words in refusal.value.errors[field]
    assert AwsAccess.objects.values().get() == before


def test_the_form_says_it_too_and_goes_on_when_it_is_right(empty: Cluster, page: Client) -> None:
    form = page.get(FORM)
    given = {name: value for name, value in form.context["form"].initial.items() if value}
    given |= {name: field.initial for name, field in form.context["form"].fields.items()}
    given = {name: value for name, value in given.items() if value is not None} | PLACE | KEY
    refused = page.post(FORM, {**given, "region": "us-east-1"})
    assert refused.status_code == 400
    assert "The state machine is in eu-central-1; enter that." in refused.content.decode()
    assert KEY["secret"] not in refused.content.decode()
    assert page.post(FORM, given).headers["Location"] == PAGE
    shown = page.get(PAGE).content.decode()
    assert ARN in shown
    assert KEY["secret"] not in shown + page.get(FORM).content.decode()


def test_the_secret_stays_with_its_key_alone(cloud: Cluster, root: Any) -> None:
    access = aws.set_up(cloud, bucket="other-bucket", actor=root)
    assert unseal(access.sealed_secret) == KEY["secret"]
    assert KEY["secret"] not in str(AuditEntry.objects.values_list("detail", flat=True))
    assert aws.set_up(cloud, access_key_id="", actor=root).sealed_secret == ""


def test_other_functions_are_as_fast_as_is_said(cloud: Cluster, root: Any) -> None:
    AwsAccess.objects.update(learned_samples_per_s=7.0)
    assert aws.set_up(cloud, bucket="other-bucket", actor=root).rate == 7.0
    assert aws.set_up(cloud, memory_mib=1769, actor=root).rate == 100.0


def test_only_admins_see_to_the_way(cloud: Cluster, max: Any, ada: Any) -> None:
    for actor in (max, ada):
        for deed in (aws.set_up, aws.test, aws.resume):
            with pytest.raises(NotAllowed):
                deed(cloud, actor=actor)


def test_what_was_not_said_yet_is_asked_for(empty: Cluster, page: Client, root: Any) -> None:
    assert "Say where it is" in page.get(PAGE).content.decode()
    for deed in (aws.test, aws.resume):
        with pytest.raises(WrongMoment, match="Say first where the state machine of cloud is"):
            deed(empty, actor=root)
    refused = page.post("/clusters/cloud/aws/test/", follow=True).content.decode()
    assert "Say first where the state machine" in refused
    assert page.post("/clusters/cloud/aws/resume/").status_code == 409
    check = checks(empty, [])
    assert {one.name: one.label for one in check}["AWS"] == "Not set up"


def test_a_cluster_of_another_carrier_has_no_such_way(page: Client, root: Any) -> None:
    metis = clusters.register(name="metis", actor=root)
    assert page.get("/clusters/metis/aws/").status_code == 404
    assert page.post("/clusters/metis/aws/test/").status_code == 404
    assert page.get("/api/v1/clusters/metis/aws/").status_code == 404
    for deed in (aws.test, aws.resume):
        with pytest.raises(WrongMoment, match="metis is not a cluster in AWS"):
            deed(metis, actor=root)


def test_without_a_broker_the_button_says_so_and_can_be_pressed_again(
    cloud: Cluster, page: Client, root: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise OperationalError

    monkeypatch.setattr(tasks.test, "delay", away)
    with pytest.raises(Unavailable, match="broker of tasks does not answer"):
        aws.test(cloud, actor=root)
    assert not aws.is_testing(AwsAccess.objects.get())
    answer = page.post("/clusters/cloud/aws/test/")
    assert answer.status_code == 503
    assert "broker of tasks does not answer" in answer.content.decode()


def test_a_held_way_says_why_and_goes_on_by_a_button(
    cloud: Cluster, page: Client, enqueued: Any, django_capture_on_commit_callbacks: Any
) -> None:
    AwsAccess.objects.update(held_at=now(), failures=5, last_error="There is no such bucket.")
    shown = page.get(PAGE).content.decode()
    assert "There is no such bucket." in shown
    assert "nothing is tried there" in shown
    line = {check.name: check for check in checks(cloud, [])}["AWS"]
    assert (line.label, line.state) == ("Held", "failed")
    with django_capture_on_commit_callbacks(execute=True):
        page.post("/clusters/cloud/aws/resume/")
    access = AwsAccess.objects.get()
    assert (access.held_at, access.failures) == (None, 0)
    assert enqueued[-1] == ("exchange", cloud.pk)


def test_a_failing_way_says_when_it_is_tried_again(cloud: Cluster, page: Client) -> None:
    AwsAccess.objects.update(failures=2, not_before=now(), last_error="AWS did not answer.")
    shown = page.get(PAGE).content.decode()
    assert "2 in a row, the next try" in shown
    assert "AWS did not answer." in shown


def test_the_api_does_what_the_page_does(empty: Cluster, root: Any, enqueued: Any) -> None:
    api = APIClient()
    api.force_authenticate(root)
    url = "/api/v1/clusters/cloud/aws"
    assert api.get(url).json()["access"] is None
    assert api.post(f"{url}/test").status_code == 409
    wrong = api.patch(url, {**PLACE, "bucket": "X"}, format="json")
    assert (wrong.status_code, list(wrong.json()["errors"])) == (400, ["bucket"])
    found = api.patch(url, {**PLACE, **KEY}, format="json").json()
    assert (found["access"]["bucket"], found["has_secret"]) == ("lab-bucket", True)
    assert KEY["secret"] not in str(found)
    assert api.post(f"{url}/test").json()["testing"] is True
    assert api.post(f"{url}/test").status_code == 409
    assert api.post(f"{url}/resume").status_code == 200
    assert ("test", empty.aws.pk) in enqueued


# What AWS answers, in words


def trouble_of(error: Exception) -> Trouble:
    with pytest.raises(Trouble) as caught, named("looking at the bucket"):
        raise error
    return caught.value


def refused(code: str, message: str = "no") -> exceptions.ClientError:
    return exceptions.ClientError({"Error": {"Code": code, "Message": message}}, "HeadBucket")


TOLD = [(code, answer.code) for answer in ANSWERS for code in sorted(answer.told)]


@pytest.mark.parametrize(("told", "code"), [*TOLD, ("SomethingNew", Code.OTHER), ("", Code.OTHER)])
def test_each_answer_has_words_and_a_remedy(told: str, code: Code) -> None:
    trouble = trouble_of(refused(told))
    assert trouble.code is code
    assert trouble.words.endswith((".", "no"))
    assert "{" not in trouble.words
    assert trouble.remedy.endswith(".")


def test_each_code_of_aws_has_one_meaning() -> None:
    codes = [code for code, _ in TOLD]
    assert len(codes) == len(set(codes))


def test_what_is_new_is_passed_on() -> None:
    words = trouble_of(refused("SomethingNew", "It is so.")).words
    assert words == "AWS refused while looking at the bucket: SomethingNew It is so."


UNREACHED = [
    exceptions.EndpointConnectionError(endpoint_url="https://x"),
    exceptions.ConnectTimeoutError(endpoint_url="https://x"),
    exceptions.ReadTimeoutError(endpoint_url="https://x"),
    exceptions.SSLError(endpoint_url="https://x", error="certificate"),
    exceptions.ProxyConnectionError(proxy_url="http://p"),
    ConnectionResetError("reset"),
    ValueError("Invalid endpoint: https://-"),
    ResponseParserError("<html>"),
]


@pytest.mark.parametrize("error", UNREACHED, ids=lambda error: type(error).__name__)
def test_what_does_not_answer_points_at_the_endpoint(error: Exception) -> None:
    trouble = trouble_of(error)
    assert trouble.code is Code.UNREACHABLE
    assert "“Endpoint”" in trouble.remedy


OWN = [
    exceptions.NoCredentialsError(),
    exceptions.PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"),
    exceptions.CredentialRetrievalError(provider="iam-role", error_msg="x"),
    exceptions.ProfileNotFound(profile="lab"),
]


@pytest.mark.parametrize("error", OWN, ids=lambda error: type(error).__name__)
def test_credentials_that_cannot_be_had_point_at_the_key(error: Exception) -> None:
    trouble = trouble_of(error)
    assert trouble.code is Code.CREDENTIALS
    assert "“Access key ID” and “Secret access key”" in trouble.remedy
