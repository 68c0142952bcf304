"""What the page of a cluster of the carrier `queue` shows, to whom, and the wheel that it names."""

from __future__ import annotations

import re
import zipfile
from io import BytesIO
from typing import Any

import pytest
from django.test import Client

from clusters import keys, node_wheel
from clusters.models import Cluster
from labportal.accounts.models import User
from tests.clusters.factories import cluster


@pytest.fixture
def gpu(db: None) -> Cluster:
    return cluster("gpu-1", carrier=Cluster.Carrier.QUEUE)


def page(client: Client, user: User, verb: str = "get", path: str = "agent/") -> str:
    client.force_login(user)
    return getattr(client, verb)(f"/clusters/gpu-1/{path}").content.decode()


def lines(text: str) -> list[str]:
    return re.findall(r'data-copy="([^"]*)"', text)


def test_the_page_shows_one_line_to_install_and_one_to_start(
    client: Client, root: User, gpu: Cluster, settings: Any
) -> None:
    settings.CELERY_BROKER_URL = "amqp://portal:swordfish@broker.lab/lab"
    text = page(client, root)
    install, run, *_ = lines(text)
    assert f"/agent/node/{node_wheel.file_name()}" in install
    assert run == (
        "~/labportal-node/bin/labportal-node --queue gpu-1 "
        "--broker amqp://portal:PASSWORD@broker.lab/lab --url http://testserver --work ~/labportal"
    )
    assert "in place of <code>PASSWORD</code>" in text
    assert "swordfish" not in text
    assert "labportal-agent.pyz" not in text


def test_a_new_key_stands_in_the_line_once_and_signs(
    client: Client, root: User, gpu: Cluster
) -> None:
    text = page(client, root, "post", "keys/")
    key = gpu.api_keys.get()
    assert f"--key lpk_{key.prefix}_" in lines(text)[2]
    assert key.sealed_signing_key
    assert "--key" not in "".join(lines(page(client, root)))


def test_the_brokers_address_for_nodes_is_shown_whole_to_admins_alone(
    client: Client, root: User, ada: User, gpu: Cluster, settings: Any
) -> None:
    settings.NODE_BROKER_URL = "rediss://node:pass&word@broker.lab:6379/0"
    assert "--broker &#x27;rediss://node:pass&amp;word@broker.lab:6379/0&#x27;" in page(
        client, root
    )
    assert "LABPORTAL_NODE_BROKER_URL" not in page(client, root)
    text = page(client, ada)
    assert "rediss://node:PASSWORD@broker.lab:6379/0" in text
    assert "pass&amp;word" not in text


def test_keys_of_another_carrier_are_said_to_sign_nothing(
    client: Client, root: User, gpu: Cluster
) -> None:
    assert "sign no messages" not in page(client, root)
    Cluster.objects.update(carrier=Cluster.Carrier.HTTPS)
    gpu.refresh_from_db()
    keys.issue(gpu, actor=root)
    Cluster.objects.update(carrier=Cluster.Carrier.QUEUE)
    assert "sign no messages: revoke one and issue a new one" in page(client, root)
    gpu.refresh_from_db()
    keys.issue(gpu, actor=root)
    assert "sign no messages" not in page(client, root)


def test_the_wheel_is_served_to_pip_under_its_version_alone(client: Client, db: None) -> None:
    response = client.get(f"/agent/node/{node_wheel.file_name()}")
    content = b"".join(response.streaming_content)
    with zipfile.ZipFile(BytesIO(content)) as archive:
        assert archive.testzip() is None
    old = "labportal_node-0.0.1-py3-none-any.whl"
    assert client.get(f"/agent/node/{old}").status_code == 404
