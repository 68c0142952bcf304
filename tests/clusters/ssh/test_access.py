"""What admins do about the way to a cluster: services, pages and the API."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.test import Client
from rest_framework.test import APIClient

from clusters.models import Cluster, SshAccess, SshSession
from clusters.selectors.health import checks
from clusters.services import clusters, ssh
from clusters.transports.ssh import tasks
from labportal.audit.models import AuditEntry
from labportal.common.clock import now
from labportal.common.errors import InvalidInput, NotAllowed, WrongMoment
from labportal.common.sealing import unseal

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILpm8/MCbUL52Jgoymkwm4WNo8qTOuWzv94ocoXWHsDi"


@pytest.fixture
def hpc(root: Any) -> Cluster:
    cluster = clusters.register(name="hpc", carrier=Cluster.Carrier.SSH, actor=root)
    ssh.set_up(cluster, host="login.hpc.example", user="lab", actor=root)
    return cluster


@pytest.fixture
def enqueued(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was handed to the broker."""
    found: list[str] = []
    for task in (tasks.scan, tasks.test, tasks.exchange):
        name = task.name.rsplit(".", 1)[1]
        monkeypatch.setattr(task, "delay", lambda *_, name=name: found.append(name))
    return found


@pytest.fixture
def page(client: Client, root: Any) -> Client:
    client.force_login(root)
    return client


def private(key: Ed25519PrivateKey) -> str:
    form, lock = serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, lock).decode()


def certificate(key: Ed25519PrivateKey, *, seconds: int = 3600) -> str:
    moment = int(now().timestamp())
    built = (
        serialization.SSHCertificateBuilder()
        .public_key(key.public_key())
        .type(serialization.SSHCertificateType.USER)
        .valid_principals([b"lab"])
        .valid_after(moment - 7200)
        .valid_before(moment + seconds)
        .key_id(b"lab")
        .serial(1)
    )
    return built.sign(Ed25519PrivateKey.generate()).public_bytes().decode()


def test_a_new_way_has_a_key_of_its_own_that_nobody_sees(hpc: Cluster, page: Client) -> None:
    access = hpc.ssh
    assert access.public_key.startswith("ssh-ed25519 ")
    assert "PRIVATE" not in access.sealed_key
    shown = page.get("/clusters/hpc/agent/").content.decode()
    assert f"restrict {access.public_key}" in shown
    assert unseal(access.sealed_key).splitlines()[1] not in shown
    assert "OPENSSH" not in str(AuditEntry.objects.values_list("detail", flat=True))


def test_what_is_wrong_is_said_beside_its_field(hpc: Cluster, root: Any) -> None:
    with pytest.raises(InvalidInput) as refusal:
        ssh.set_up(hpc, host="-x", user="a b", work="x", python="p y", exchange_s=1, actor=root)
    assert set(refusal.value.errors) == {"host", "user", "work", "python", "exchange_s"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no ini", "no INI file"),
        ("[portal]\nurl = x\n", "Section [portal] cannot stand here"),
        ("[agent]\nwork = /x\n", "the form has a field"),
        ("[agent]\nslots = many\n", "invalid literal"),
        ("[agent]\nscheduler = x\n", "the form has a field"),
        ("[scheduler]\nwhat = 1\n", "is unknown"),
    ],
)
def test_further_settings_are_read_as_the_agent_reads_them(
    hpc: Cluster, root: Any, text: str, words: str
) -> None:
    with pytest.raises(InvalidInput) as refusal:
        ssh.set_up(hpc, agent_settings=text, scheduler="slurm", actor=root)
    assert words in refusal.value.errors["agent_settings"]


def test_a_key_with_its_certificate_is_taken(hpc: Cluster, root: Any) -> None:
    key = Ed25519PrivateKey.generate()
    access = ssh.enter_key(hpc, private_key=private(key), certificate=certificate(key), actor=root)
    assert access.certificate.startswith("ssh-ed25519-cert-v01@openssh.com ")
    names = {check.name: check.label for check in checks(hpc, [])}
    assert names["Certificate"] == "Ends soon"


def test_keys_that_cannot_serve_are_refused(hpc: Cluster, root: Any) -> None:
    key = Ed25519PrivateKey.generate()
    wrong = {
        "no private key": {"private_key": "ssh-ed25519 AAAA"},
        "no certificate": {"private_key": private(key), "certificate": "ssh-ed25519 AAAA"},
        "another key": {
            "private_key": private(key),
            "certificate": certificate(Ed25519PrivateKey.generate()),
        },
        "expired": {"private_key": private(key), "certificate": certificate(key, seconds=-60)},
    }
    before = hpc.ssh.sealed_key
    for words, given in wrong.items():
        with pytest.raises(InvalidInput, match=words):
            ssh.enter_key(hpc, **given, actor=root)
    assert SshAccess.objects.get().sealed_key == before


@pytest.mark.ssh
def test_a_key_with_a_passphrase_is_told_from_none(hpc: Cluster, root: Any, tmp_path: Path) -> None:
    path = tmp_path / "key"
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "a passphrase", "-f", str(path)]
    subprocess.run(words, check=True)
    with pytest.raises(InvalidInput, match="protected by a passphrase"):
        ssh.enter_key(hpc, private_key=path.read_text(), actor=root)


def test_host_keys_are_trusted_as_they_were_shown(
    hpc: Cluster, root: Any, enqueued: list[str], django_capture_on_commit_callbacks: Any
) -> None:
    with pytest.raises(WrongMoment, match="offered no keys"):
        ssh.confirm_host_keys(hpc, fingerprints=[], actor=root)
    SshAccess.objects.update(offered_host_keys=HOST_KEY)
    with pytest.raises(WrongMoment, match="other keys than those that you saw"):
        ssh.confirm_host_keys(hpc, fingerprints=["SHA256:x"], actor=root)
    with django_capture_on_commit_callbacks(execute=True):
        access = ssh.confirm_host_keys(hpc, fingerprints=[ssh.fingerprint(HOST_KEY)], actor=root)
    assert (access.host_keys, access.confirmed_by) == (HOST_KEY, root)
    assert enqueued == ["exchange"]
    assert AuditEntry.objects.filter(verb="cluster.ssh.host-keys", actor_id=root.pk).exists()


def test_another_host_has_to_show_its_own_keys(hpc: Cluster, root: Any) -> None:
    SshAccess.objects.update(host_keys=HOST_KEY)
    ssh.set_up(hpc, user="other", actor=root)
    assert SshAccess.objects.get().host_keys == HOST_KEY
    ssh.set_up(hpc, host="login2.hpc.example", actor=root)
    assert SshAccess.objects.get().host_keys == ""


def test_only_admins_see_to_the_way(hpc: Cluster, max: Any) -> None:
    for deed in (ssh.make_key, ssh.test, ssh.resume, ssh.ask_for_host_keys):
        with pytest.raises(NotAllowed):
            deed(hpc, actor=max)


def test_a_cluster_of_another_carrier_has_no_way(page: Client, root: Any) -> None:
    clusters.register(name="metis", actor=root)
    assert page.get("/clusters/metis/access/").status_code == 404
    assert page.post("/clusters/metis/access/test/").status_code == 404


def test_registering_leads_to_the_next_step(page: Client) -> None:
    answer = page.post("/clusters/new/", {"name": "hpc", "carrier": "ssh"})
    assert answer.headers["Location"] == "/clusters/hpc/access/"
    answer = page.post("/clusters/hpc/access/", {"host": "x y", "user": "lab"})
    assert answer.status_code == 400
    assert "such as login.hpc.example" in answer.content.decode()


def test_the_pages_buttons_hand_work_to_the_broker(
    hpc: Cluster, page: Client, enqueued: list[str]
) -> None:
    page.post("/clusters/hpc/access/scan/")
    assert "Asking" in page.get("/clusters/hpc/agent/").content.decode()
    page.post("/clusters/hpc/access/test/")
    assert enqueued == ["scan", "test"]
    refused = page.post("/clusters/hpc/access/test/", follow=True).content.decode()
    assert "as many sessions as the site allows" in refused


def test_a_held_way_says_why_and_goes_on_by_a_button(
    hpc: Cluster, page: Client, enqueued: list[str], django_capture_on_commit_callbacks: Any
) -> None:
    SshAccess.objects.update(held_at=now(), failures=5, last_error="The host refused.")
    shown = page.get("/clusters/hpc/agent/").content.decode()
    assert "The host refused." in shown
    assert "nothing is sent there" in shown
    labels = {check.name: check for check in checks(Cluster.objects.get(), [])}
    assert (labels["SSH"].label, labels["SSH"].state) == ("Held", "failed")
    with django_capture_on_commit_callbacks(execute=True):
        page.post("/clusters/hpc/access/resume/")
    access = SshAccess.objects.get()
    assert (access.held_at, access.failures, enqueued) == (None, 0, ["exchange"])


def test_scientists_see_no_keys_and_no_buttons(hpc: Cluster, client: Client, ada: Any) -> None:
    client.force_login(ada)
    shown = client.get("/clusters/hpc/agent/").content.decode()
    assert "login.hpc.example" in shown
    assert hpc.ssh.public_key not in shown
    assert "<form" not in shown.split('id="ssh-page"')[1].split("</main>")[0]


def test_the_api_does_what_the_page_does(
    root: Any, enqueued: list[str], django_capture_on_commit_callbacks: Any
) -> None:
    api = APIClient()
    api.force_authenticate(root)
    made = api.post("/api/v1/clusters/", {"name": "hpc", "carrier": "ssh"}, format="json")
    assert made.json()["carrier"] == "ssh"
    url = "/api/v1/clusters/hpc/access"
    assert api.get(url).json()["access"] is None
    assert api.post(f"{url}/test").status_code == 409
    wrong = api.patch(url, {"host": "a b", "user": "lab"}, format="json")
    assert (wrong.status_code, list(wrong.json()["errors"])) == (400, ["host"])
    set_up = api.patch(url, {"host": "login.hpc.example", "user": "lab"}, format="json").json()
    assert set_up["authorized_keys_line"].startswith("restrict ssh-ed25519 ")
    assert api.post(f"{url}/host-keys").status_code == 202
    SshAccess.objects.update(offered_host_keys=HOST_KEY)
    offered = api.get(url).json()["offered_host_keys"]
    assert offered == [
        {"kind": "ed25519", "fingerprint": ssh.fingerprint(HOST_KEY), "confirmed": False}
    ]
    body = {"fingerprints": [offered[0]["fingerprint"]]}
    with django_capture_on_commit_callbacks(execute=True):
        assert api.post(f"{url}/confirm", body, format="json").json()["host_keys"]
    assert api.post(f"{url}/test").json()["last_test"]["steps"] == []
    assert enqueued == ["scan", "exchange", "test"]
    before = set_up["authorized_keys_line"]
    assert api.post(f"{url}/key").json()["authorized_keys_line"] != before
    assert SshSession.objects.count() == 2
