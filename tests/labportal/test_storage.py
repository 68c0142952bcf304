"""Both file stores keep the same promises; the S3 one is tested against recorded answers."""

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.response import StreamingBody
from botocore.stub import ANY, Stubber

from labportal.common.errors import InvalidInput, NotFound, Unavailable
from labportal.common.storage import FolderStorage, S3Storage, storage

CONTENT = b"energy -75.98 Hartree\n" * 1000


@pytest.fixture
def folder(tmp_path: Path) -> FolderStorage:
    return FolderStorage(tmp_path / "files")


@pytest.fixture
def s3(settings: Any) -> Iterator[tuple[S3Storage, Stubber]]:
    settings.S3_BUCKET, settings.S3_PREFIX = "lab", "portal"
    settings.S3_ACCESS_KEY_ID, settings.S3_SECRET_ACCESS_KEY = "key", "secret"
    storage.cache_clear()
    store = storage()
    assert isinstance(store, S3Storage)
    with Stubber(store._client) as stub:
        yield store, stub


def test_a_file_comes_back_as_it_was(folder: FolderStorage) -> None:
    size, digest = folder.save("runs/1/out.txt", io.BytesIO(CONTENT))
    assert (size, digest) == (len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    with folder.open("runs/1/out.txt") as stream:
        assert stream.read() == CONTENT
    assert folder.size("runs/1/out.txt") == len(CONTENT)
    assert folder.presigned_url("runs/1/out.txt") is None


def test_saving_again_replaces(folder: FolderStorage) -> None:
    folder.save("a", io.BytesIO(b"old"))
    folder.save("a", io.BytesIO(b"new"))
    assert folder.open("a").read() == b"new"


def test_an_interrupted_upload_leaves_nothing(folder: FolderStorage, tmp_path: Path) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise ConnectionError

    with pytest.raises(ConnectionError):
        folder.save("runs/1/out.txt", Broken())
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_deleting_twice_is_no_error_and_removes_empty_folders(
    folder: FolderStorage, tmp_path: Path
) -> None:
    folder.save("runs/1/out.txt", io.BytesIO(b"x"))
    folder.delete("runs/1/out.txt")
    folder.delete("runs/1/out.txt")
    assert list((tmp_path / "files").iterdir()) == []


def test_a_file_that_is_not_there_is_named_so(folder: FolderStorage) -> None:
    with pytest.raises(NotFound):
        folder.open("nothing")
    with pytest.raises(NotFound):
        folder.size("nothing")


@pytest.mark.parametrize(
    "key",
    ["", "/etc/passwd", "../x", "a/../../x", "a//b", "a/./b", "a\\..\\b", "a/b\0", "a/" * 500],
)
def test_a_key_that_would_leave_the_store_is_refused(
    folder: FolderStorage, s3: tuple[S3Storage, Stubber], key: str
) -> None:
    for store in (folder, s3[0]):
        with pytest.raises(InvalidInput):
            store.save(key, io.BytesIO(b"x"))
        with pytest.raises(InvalidInput):
            store.open(key)


def test_a_link_out_of_the_folder_is_refused(folder: FolderStorage, tmp_path: Path) -> None:
    folder.save("a/x", io.BytesIO(b"x"))
    (tmp_path / "files" / "out").symlink_to("/etc")
    with pytest.raises(InvalidInput):
        folder.open("out/hostname")


def test_s3_puts_under_the_prefix_and_measures(s3: tuple[S3Storage, Stubber]) -> None:
    store, stub = s3
    stub.add_response(
        "put_object",
        {"ETag": '"e"'},
        {"Bucket": "lab", "Key": "portal/runs/1/out.txt", "Body": ANY},
    )
    stub.add_response(
        "get_object",
        {"Body": StreamingBody(io.BytesIO(CONTENT), len(CONTENT))},
        {"Bucket": "lab", "Key": "portal/runs/1/out.txt"},
    )
    stub.add_response(
        "head_object", {"ContentLength": 5}, {"Bucket": "lab", "Key": "portal/runs/1/out.txt"}
    )
    stub.add_response("delete_object", {}, {"Bucket": "lab", "Key": "portal/runs/1/out.txt"})

    size, digest = store.save("runs/1/out.txt", io.BytesIO(CONTENT))
    assert (size, digest) == (len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    assert store.open("runs/1/out.txt").read() == CONTENT
    assert store.size("runs/1/out.txt") == 5
    store.delete("runs/1/out.txt")
    stub.assert_no_pending_responses()


def test_s3_says_gone_and_unavailable_in_our_words(s3: tuple[S3Storage, Stubber]) -> None:
    store, stub = s3
    stub.add_client_error("get_object", "NoSuchKey", http_status_code=404)
    stub.add_client_error("head_object", "AccessDenied", http_status_code=403)
    with pytest.raises(NotFound):
        store.open("a")
    with pytest.raises(Unavailable):
        store.size("a")


def test_s3_that_does_not_answer_is_unavailable(
    s3: tuple[S3Storage, Stubber], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, _ = s3

    def refuse(**_: Any) -> None:
        raise EndpointConnectionError(endpoint_url="http://s3")

    monkeypatch.setattr(store._client, "head_object", refuse)
    with pytest.raises(Unavailable):
        store.size("a")


def test_a_presigned_url_names_the_file_and_ends(s3: tuple[S3Storage, Stubber]) -> None:
    url = s3[0].presigned_url("runs/1/o.txt", seconds=60, filename='wa"ter\r\n.txt')
    assert url is not None
    assert "portal/runs/1/o.txt" in url
    assert "X-Amz-Expires=60" in url
    assert "wa_ter__.txt" in url


def test_settings_choose_the_store(settings: Any) -> None:
    assert isinstance(storage(), FolderStorage)
    settings.S3_BUCKET = "lab"
    storage.cache_clear()
    assert isinstance(storage(), S3Storage)
