"""An admin tries the file store: written, read back, compared, deleted; failures in words."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from django.test import Client
from django.urls import reverse

from labportal.accounts.models import User
from labportal.audit.models import AuditEntry
from labportal.common import storage_trial
from labportal.common.errors import Unavailable
from labportal.common.storage import FolderStorage
from labportal.common.storage_trial import try_storage


def left(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_good_store_is_timed_and_left_as_it_was(files_dir: Path) -> None:
    trial = try_storage()
    assert trial.ok and trial.words.startswith("64 KiB came back from the folder of files")
    assert trial.words.count(" ms") == 3
    assert left(files_dir) == []


def test_a_store_that_cannot_be_written_says_why(files_dir: Path) -> None:
    files_dir.write_text("a file where the folder should be")
    trial = try_storage()
    assert not trial.ok and trial.words.startswith("Writing failed in the folder of files: ")


def test_what_comes_back_changed_is_a_failure(
    files_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FolderStorage, "open", lambda self, key: io.BytesIO(b"something else"))
    trial = try_storage()
    assert not trial.ok and "not what was written" in trial.words
    assert left(files_dir) == []


def test_what_the_server_said_is_shown_without_the_secret(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.S3_BUCKET, settings.S3_SECRET_ACCESS_KEY = "lab", "s3cret"
    settings.S3_ENDPOINT_URL = "https://user:word@store.lab:9000"

    class Refusing:
        def save(self, key: str, stream: Any) -> None:
            said = {"Error": {"Code": "InvalidAccessKeyId", "Message": "s3cret is unknown"}}
            raise Unavailable("refused") from ClientError(said, "PutObject")

        def delete(self, key: str) -> None:
            raise Unavailable("refused")

    monkeypatch.setattr(storage_trial, "made_storage", lambda **_: Refusing())
    words = try_storage().words
    assert words == (
        "Writing failed in the bucket lab at store.lab: InvalidAccessKeyId: ••• is unknown."
    )


def test_the_button_tries_it_on_record(root: User) -> None:
    client = Client()
    client.force_login(root)
    text = client.post(reverse("storage-test"), follow=True).content.decode()
    assert "64 KiB came back" in text
    assert AuditEntry.objects.get(verb="storage.test").detail["ok"] is True
