"""Clients are kept: one for all threads, another for other credentials, none without any."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import Any

import pytest

from clusters.models import AwsAccess
from clusters.transports.aws import signing
from clusters.transports.aws.clients import Clients
from clusters.transports.aws.signing import Way
from clusters.transports.aws.troubles import Code, Trouble
from labportal.common.sealing import seal

WAY = Way("eu-central-1", "http://127.0.0.1:9", "AKIATEST", "its secret")


@pytest.fixture(autouse=True)
def _anew() -> Iterator[None]:
    signing.forget()
    yield
    signing.forget()


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine that has no credentials of its own."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, "/nowhere")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return monkeypatch


def access(**changes: Any) -> AwsAccess:
    values = {"region": WAY.region, "endpoint_url": WAY.endpoint_url, "access_key_id": "AKIATEST"}
    return AwsAccess(**{**values, "sealed_secret": seal("its secret"), **changes})


def test_each_step_of_an_access_has_the_same_client() -> None:
    first, second = Clients(access()), Clients(access())
    assert first.s3 is second.s3
    assert first.states is second.states
    assert first.s3 is not first.states


@pytest.mark.parametrize(
    "changes",
    [
        {"sealed_secret": seal("another")},
        {"access_key_id": "AKIAOTHER"},
        {"region": "eu-west-1"},
        {"endpoint_url": ""},
    ],
)
def test_whatever_is_signed_otherwise_has_a_client_of_its_own(changes: dict[str, str]) -> None:
    before, after = Clients(access()).s3, Clients(access(**changes)).s3
    assert before is not after
    assert Clients(access()).s3 is before


def test_threads_that_ask_at_once_share_one() -> None:
    together = Barrier(8)

    def ask(_: int) -> Any:
        together.wait()
        return signing.client("s3", WAY)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, range(8)))
    assert len(set(map(id, found))) == 1


def test_a_client_is_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signing.client("s3", WAY)
    monkeypatch.setattr(signing, "KEPT_S", 1e-9)
    assert signing.client("s3", WAY) is not before


def test_the_machines_own_credentials_are_looked_for_until_there_are_some(
    bare: pytest.MonkeyPatch,
) -> None:
    way = replace(WAY, access_key_id="", secret="")
    with pytest.raises(Trouble) as caught:
        signing.client("s3", way)
    assert caught.value.code is Code.CREDENTIALS
    assert "“Access key ID”" in caught.value.remedy
    bare.setenv("AWS_ACCESS_KEY_ID", "AKIAROLE")
    bare.setenv("AWS_SECRET_ACCESS_KEY", "of the role")
    assert signing.client("s3", way)._request_signer._credentials.access_key == "AKIAROLE"


def test_a_secret_that_was_sealed_under_another_key_is_told(settings: Any) -> None:
    sealed = access()
    settings.SECRET_KEY = "another"
    with pytest.raises(Trouble, match="enter it again") as caught:
        _ = Clients(sealed).s3
    assert caught.value.code is Code.CREDENTIALS


def test_the_secret_is_in_no_repr() -> None:
    assert WAY.secret not in repr(WAY)
