"""Versions of a model: all that people may enter, their files, their secrets."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from labportal.common.errors import InvalidInput, TooLarge
from labportal.common.storage import storage
from mlmodels.models import ModelVersion, RegisteredModel
from mlmodels.services import models, versions
from mlmodels.services.agent_files import environment
from mlmodels.services.tending import tend_all
from tests.mlmodels import factories


@pytest.fixture
def model(ada: Any) -> RegisteredModel:
    return factories.registered(ada, "redshift")


def packed(**files: str) -> io.BytesIO:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    target.seek(0)
    return target


def linked() -> io.BytesIO:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        member = tarfile.TarInfo("weights")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(member)
    target.seek(0)
    return target


def refused(model: RegisteredModel, **values: Any) -> dict[str, str]:
    with pytest.raises(InvalidInput) as refusal:
        factories.version(model, **values)
    assert not ModelVersion.objects.exists()
    return refusal.value.errors


def test_versions_are_counted(model: RegisteredModel, ada: Any) -> None:
    numbers = [factories.version(model, note=f"try {n}").number for n in (1, 2)]
    assert numbers == [1, 2]
    assert model.current.number == 1  # what serves is another verb


@pytest.mark.parametrize(
    "image",
    [
        "echo",
        "localhost/echo:1",
        "registry.lab:5000/team/red_shift:2.1-cpu",
        "echo@sha256:" + "0" * 64,
    ],
)
def test_images_are_named_as_engines_name_them(model: RegisteredModel, image: str) -> None:
    assert factories.version(model, image=image).image == image


@pytest.mark.parametrize(
    "image",
    [
        *("", "--privileged", "echo;id", "echo $(id)", "echo\nid", "../echo", "Echo Server"),
        *("docker-archive:1", "a" * 301),
    ],
)
def test_images_that_no_node_would_take_are_refused(model: RegisteredModel, image: str) -> None:
    assert "image" in refused(model, image=image)


@pytest.mark.parametrize("folder", ["models", "/srv/../etc", "/srv/a\nb", "~/models"])
def test_folders_are_whole_paths(model: RegisteredModel, folder: str) -> None:
    assert "folder" in refused(model, folder=folder)


@pytest.mark.parametrize("command", ["python serve.py", [""], ["a\0b"], [1], ["x"] * 101])
def test_commands_are_lists_of_words(model: RegisteredModel, command: Any) -> None:
    assert "command" in refused(model, command=command)


def test_a_process_needs_a_folder_and_a_command(model: RegisteredModel) -> None:
    wrong = refused(model, runtime="process", image="", folder="", command=[])
    assert wrong.keys() == {"folder", "command"}
    assert "image" in refused(model, folder="/srv/echo", image="echo")


@pytest.mark.parametrize(
    "environment",
    [{"A-B": "1"}, {"": "1"}, {"A": 1}, {"A": "\0"}, {"PORT": "80"}, ["A=1"], {"A": "x" * 40_000}],
)
def test_variables_are_names_and_texts(model: RegisteredModel, environment: Any) -> None:
    assert "environment" in refused(model, environment=environment)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "numbr"}, "is no JSON schema"),
        ([], None),
        ("object", "must be a JSON schema"),
        ({"$ref": "http://elsewhere.example/schema"}, "refers to"),
        ({"properties": {"x": {"items": [{"$ref": "file:///etc/passwd"}]}}}, "refers to"),
    ],
)
def test_schemas_are_schemas(model: RegisteredModel, schema: Any, words: str | None) -> None:
    if words is None:
        assert factories.version(model, input_schema={}).input_schema == {}
    else:
        assert words in refused(model, input_schema=schema)["input_schema"]


def test_the_example_is_what_the_model_takes(model: RegisteredModel) -> None:
    assert "not JSON" in refused(model, example="x = 1")["example"]
    wrong = refused(model, example='{"x": -1}', input_schema=factories.SCHEMA)
    assert wrong["example"] == "breaks the input schema: x: -1 is less than the minimum of 0"
    assert factories.version(model, example="1,2", accepts=["text/csv"]).example == "1,2"


@pytest.mark.parametrize(
    "values",
    [{"startup_s": 5}, {"cores": 0}, {"memory_mib": 1}, {"gpus": -1}, {"gpu_type": "a;b"}],
)
def test_amounts_are_within_bounds(model: RegisteredModel, values: dict[str, Any]) -> None:
    assert refused(model, **values).keys() == values.keys()


def test_what_cannot_be_set_is_not(model: RegisteredModel) -> None:
    assert refused(model, approved_at="now").keys() == {"approved_at"}


def test_all_that_is_wrong_is_said_at_once(model: RegisteredModel) -> None:
    wrong = refused(model, image="-x", startup_s=1, example="{", environment={"1": "a"})
    assert wrong.keys() == {"image", "startup_s", "example", "environment"}


def test_files_are_kept_with_their_checksum(model: RegisteredModel) -> None:
    content = packed(weights="1 2 3").getvalue()
    version = factories.version(model, files=("../../redshift.tar.gz", io.BytesIO(content)))
    assert (version.files_name, version.files_size) == ("redshift.tar.gz", len(content))
    assert storage().open(version.files_key).read() == content
    again = factories.version(
        model, files=("m", io.BytesIO(content)), files_sha256=version.files_sha256.upper()
    )
    assert again.files_sha256 == version.files_sha256


@pytest.mark.parametrize(
    ("files", "sha256", "field"),
    [
        (lambda: io.BytesIO(b"no archive"), "", "files"),
        (lambda: packed(**{"../../etc/passwd": "x"}), "", "files"),
        (linked, "", "files"),
        (lambda: packed(weights="1"), "0" * 64, "files_sha256"),
        (lambda: packed(weights="1"), "sha", "files_sha256"),
    ],
)
def test_files_that_no_node_would_unpack_are_refused(
    model: RegisteredModel, files_dir: Any, files: Any, sha256: str, field: str
) -> None:
    assert field in refused(model, files=("m.tar.gz", files()), files_sha256=sha256)
    assert [path for path in files_dir.rglob("*") if path.is_file()] == []


def test_files_have_a_size(model: RegisteredModel, settings: Any, files_dir: Any) -> None:
    settings.MODEL_FILES_MIB = 1
    with pytest.raises(TooLarge, match="at most 1 MiB"):
        factories.version(model, files=("m", io.BytesIO(b"\x1f\x8b" + bytes(2**20))))
    assert [path for path in files_dir.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    "url", ["http://x/y", "s3://", "s3://bucket", "s3://other/key", "s3://B!/key", "/etc/passwd"]
)
def test_files_come_from_buckets_that_were_named(
    model: RegisteredModel, settings: Any, url: str
) -> None:
    settings.MODEL_BUCKETS = ["weights"]
    assert "files_url" in refused(model, files_url=url)


@pytest.fixture
def s3(settings: Any) -> Iterator[Any]:
    """The bucket that the portal keeps its files in, and one that models may come from."""
    settings.S3_BUCKET, settings.MODEL_BUCKETS = "portal", ["weights"]
    settings.S3_ACCESS_KEY_ID, settings.S3_SECRET_ACCESS_KEY = "key", "secret"
    storage.cache_clear()
    with mock_aws():
        client = boto3.client("s3", "us-east-1")
        for bucket in ("portal", "weights", "private"):
            client.create_bucket(Bucket=bucket)
        yield client
    storage.cache_clear()


def test_files_are_taken_from_a_bucket_into_ours(model: RegisteredModel, s3: Any) -> None:
    content = packed(weights="0.5").getvalue()
    s3.put_object(Bucket="weights", Key="a/redshift.tar.gz", Body=content)
    version = factories.version(model, files_url="s3://weights/a/redshift.tar.gz")
    assert (version.files_name, version.files_size) == ("redshift.tar.gz", len(content))
    assert s3.get_object(Bucket="portal", Key=version.files_key)["Body"].read() == content
    assert storage().open(version.files_key, offset=9).read() == content[9:]


def test_a_file_that_is_not_in_its_bucket_is_none(model: RegisteredModel, s3: Any) -> None:
    assert "no such file" in refused(model, files_url="s3://weights/absent")["files_url"]
    assert "may come from weights" in refused(model, files_url="s3://private/x")["files_url"]


def test_files_of_a_version_may_be_taken_over(model: RegisteredModel) -> None:
    first = factories.version(model, files=("m.tar.gz", packed(weights="1")))
    second = factories.version(model, based_on=first, keep_files=True)
    assert (second.files_key, second.files_sha256) == (first.files_key, first.files_sha256)
    assert factories.version(model, based_on=first).files_key == ""


def test_files_go_with_the_model(
    model: RegisteredModel, ada: Any, django_capture_on_commit_callbacks: Any, files_dir: Any
) -> None:
    factories.version(model, files=("m.tar.gz", packed(weights="1")))
    with django_capture_on_commit_callbacks(execute=True):
        models.remove(model, actor=ada)
    assert [path for path in files_dir.rglob("*") if path.is_file()] == []
    assert tend_all() == 0


def test_secrets_are_sealed_and_come_out_for_their_agent_alone(ada: Any) -> None:
    metis = factories.cluster()
    replica = factories.running(ada, secrets={"TOKEN": "s3cr3t"}, environment={"MODE": "fast"})
    version = replica.version
    assert version.secret_names == ["TOKEN"]
    assert "s3cr3t" not in version.sealed_secrets
    assert environment(metis, replica.pk) == {"TOKEN": "s3cr3t"}


def test_a_secret_without_a_value_is_the_one_from_before(model: RegisteredModel) -> None:
    first = factories.version(model, secrets={"TOKEN": "s3cr3t", "OLD": "x"})
    second = factories.version(model, secrets={"TOKEN": "", "NEW": "y"}, based_on=first)
    assert versions.secrets_of(second) == {"TOKEN": "s3cr3t", "NEW": "y"}


@pytest.mark.parametrize(
    "secrets", [{"TOKEN": ""}, {"MODE": "x"}, {"A B": "x"}, {"SAGEMAKER_BIND_TO_PORT": "1"}]
)
def test_secrets_are_names_and_values(model: RegisteredModel, secrets: dict[str, str]) -> None:
    assert "secrets" in refused(model, secrets=secrets, environment={"MODE": "fast"})


def test_another_models_version_lends_nothing(model: RegisteredModel, ada: Any) -> None:
    other = factories.version(factories.registered(ada), secrets={"TOKEN": "s3cr3t"})
    with pytest.raises(InvalidInput):
        factories.version(model, secrets={"TOKEN": ""}, based_on=other)
