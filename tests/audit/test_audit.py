"""The audit trail: append-only, chained, and what it shows when somebody tampers."""

import threading
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.test import Client

from labportal.accounts.models import User
from labportal.audit.models import AuditEntry
from labportal.audit.services import record, verify
from tests.factories import PASSWORD


def tamper(statement: str, *values: Any) -> None:
    """Do what somebody with the database's superuser could do: switch the trigger off first."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_auditentry DISABLE TRIGGER audit_append_only")
        cursor.execute(statement, values)
        cursor.execute("ALTER TABLE audit_auditentry ENABLE TRIGGER audit_append_only")


@pytest.fixture
def five(ada: User) -> list[AuditEntry]:
    return [record(ada, "calculation.submit", target=f"calculation:{n}") for n in range(5)]


def test_an_entry_names_who_did_what_to_which(ada: User) -> None:
    entry = record(ada, "calculation.submit", target="calculation:7", detail={"runs": 5})
    entry.refresh_from_db()
    assert (entry.actor_id, entry.actor_name, entry.verb) == (ada.pk, "ada", "calculation.submit")
    assert (entry.target, entry.detail) == ("calculation:7", {"runs": 5})
    assert record(None, "lease.expire").actor_name == ""


def test_the_database_refuses_to_change_or_delete(five: list[AuditEntry]) -> None:
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        AuditEntry.objects.filter(pk=five[2].pk).update(verb="nothing")
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        five[2].delete()
    assert AuditEntry.objects.count() == 5


def test_a_sound_chain_is_confirmed_with_its_head(five: list[AuditEntry]) -> None:
    output = StringIO()
    call_command("verify_audit", stdout=output)
    assert "sound: 5 rows" in output.getvalue()
    assert five[-1].digest in output.getvalue()


def test_an_empty_trail_is_sound(db: None) -> None:
    assert verify().broken is None


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("verb", "calculation.view"),
        ("actor_name", "eve"),
        ("actor_id", 99),
        ("target", "calculation:9"),
        ("detail", '{"x": 1}'),
        ("at", "2020-01-01T00:00:00Z"),
        ("digest", "0" * 64),
        ("previous", "0" * 64),
    ],
)
def test_a_changed_row_is_found(five: list[AuditEntry], column: str, value: Any) -> None:
    tamper(f"UPDATE audit_auditentry SET {column} = %s WHERE id = %s", value, five[2].pk)  # noqa: S608
    with pytest.raises(CommandError, match=f"row {five[2].pk} ") as refused:
        call_command("verify_audit", stdout=StringIO())
    assert refused.value.returncode == 1


def test_a_row_taken_out_is_found_at_the_next(five: list[AuditEntry]) -> None:
    tamper("DELETE FROM audit_auditentry WHERE id = %s", five[2].pk)
    result = verify()
    assert result.broken is not None and result.broken.entry_id == five[3].pk
    assert result.checked == 2


def test_a_tail_cut_off_is_found_by_a_digest_noted_elsewhere(five: list[AuditEntry]) -> None:
    assert verify(head=five[3].digest).broken is None
    tamper("DELETE FROM audit_auditentry WHERE id >= %s", five[3].pk)
    assert verify().broken is None
    with pytest.raises(CommandError, match="noted digest"):
        call_command("verify_audit", head=five[3].digest, stdout=StringIO())


def test_a_row_recomputed_by_the_forger_breaks_the_next(five: list[AuditEntry]) -> None:
    from labportal.audit.chain import digest_of

    forged = AuditEntry.objects.get(pk=five[1].pk)
    forged.verb = "calculation.view"
    tamper(
        "UPDATE audit_auditentry SET verb = %s, digest = %s WHERE id = %s",
        forged.verb,
        digest_of(forged),
        forged.pk,
    )
    result = verify()
    assert result.broken is not None and result.broken.entry_id == five[2].pk


def test_secrets_are_left_out_of_the_details(ada: User) -> None:
    detail = {"api_key": "lpk_x", "new_password": "x", "Token": "x", "name": "metis\0"}
    assert record(ada, "cluster.create", detail=detail).detail == {"name": "metis"}


def test_what_is_rolled_back_leaves_no_entry(ada: User, five: list[AuditEntry]) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        record(ada, "calculation.submit")
        _ = 1 / 0
    record(ada, "calculation.cancel")
    assert verify().checked == 6 and verify().broken is None


@pytest.mark.django_db(transaction=True)
def test_many_who_write_at_once_make_one_chain() -> None:
    def write() -> None:
        for _ in range(10):
            record(None, "lease.expire")
        connection.close()

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    result = verify()
    assert (result.checked, result.broken) == (40, None)


def test_signing_in_and_out_is_recorded(ada: User, client: Client) -> None:
    client.post("/sign-in/", {"username": "ada", "password": PASSWORD})
    client.post("/sign-out/")
    entries = list(AuditEntry.objects.order_by("id").values_list("verb", "actor_name"))
    assert entries == [("user.sign-in", "ada"), ("user.sign-out", "ada")]


def test_moderators_read_the_trail_of_a_person(max: User, ada: User, eve: User) -> None:
    record(ada, "calculation.submit", target="calculation:7")
    record(eve, "calculation.submit", target="calculation:8")
    record(max, "user.block", target=f"user:{ada.pk}")
    client = Client()
    client.force_login(max)
    page = client.get(f"/users/{ada.pk}/audit/").content.decode()
    assert "calculation:7" in page and "user.block" in page and "calculation:8" not in page
    assert "calculation:8" in client.get("/audit/?text=eve").content.decode()
    found = client.get("/api/v1/audit?text=user.block").json()["results"]
    assert [(row["verb"], row["actor_name"]) for row in found] == [("user.block", "max")]
    client.force_login(ada)
    assert client.get("/audit/").status_code == 403
    assert client.get("/api/v1/audit").status_code == 403
