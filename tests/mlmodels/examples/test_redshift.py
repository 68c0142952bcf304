"""The redshift example: torch behind the contract, one galaxy or many, stored or random weights."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import numpy
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install -e .[ml]")

from calculations.software.torch_inference.networks import redshift as network  # noqa: E402
from clusters.agent.contract import TITLES, run_contract  # noqa: E402
from mlmodels.examples.bundle import describe  # noqa: E402
from tests.mlmodels.examples.running import Running, example, terms_of  # noqa: E402

pytestmark = pytest.mark.xdist_group("redshift")
NPZ = "application/x-npz"
DESCRIBED = describe("redshift")
EXAMPLE = json.loads(DESCRIBED["example"])


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as /opt/ml/model would be, with weights of another seed."""
    folder = tmp_path_factory.mktemp("model")
    network.save(network.build(seed=4), folder / "model.safetensors")
    return folder


@pytest.fixture(scope="module")
def redshift(tmp_path_factory: pytest.TempPathFactory, weights: Path) -> Iterator[Running]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MODEL_DIR", str(weights))
        environment.setenv("OMP_NUM_THREADS", "1")  # threads wait for each other on a busy machine
        with example("redshift", tmp_path_factory.mktemp("redshift")) as server:
            yield server


def galaxies(count: int) -> tuple[numpy.ndarray, numpy.ndarray]:
    random = numpy.random.default_rng(8)
    images = random.normal(size=(count, *network.IMAGE_SHAPE)).astype("float32")
    return images, random.normal(18, 1, size=(count, network.MAGNITUDES))


def packed(**arrays: numpy.ndarray) -> bytes:
    stored = io.BytesIO()
    numpy.savez(stored, **arrays)
    return stored.getvalue()


def computed(images: numpy.ndarray, magnitudes: numpy.ndarray) -> list[float]:
    """What the network answers here, with the same weights."""
    with torch.inference_mode():
        found = network.build(seed=4)(torch.from_numpy(images), torch.from_numpy(magnitudes))
    return found[:, 0].tolist()


def test_a_galaxy_is_answered_by_the_network_with_the_models_weights(redshift: Running) -> None:
    document = redshift.answer(DESCRIBED["example"].encode())
    jsonschema.validate(document, DESCRIBED["output_schema"])
    image = numpy.array([EXAMPLE["image"]], dtype="float32")
    expected = computed(image, numpy.array([EXAMPLE["magnitude"]]))
    assert document == {
        "redshift": pytest.approx(expected[0], rel=1e-4),
        "weights": "model.safetensors",
    }


def test_many_galaxies_are_answered_in_their_order(redshift: Running) -> None:
    images, magnitudes = galaxies(5)
    body = packed(image=images, magnitude=magnitudes)
    expected = computed(images, magnitudes)
    document = redshift.answer(body, NPZ)
    assert document["redshifts"] == pytest.approx(expected, rel=1e-3, abs=1e-6)
    status, table = redshift.call(body, NPZ, Accept="text/csv")
    lines = table.decode().splitlines()
    assert (status, lines[0]) == (200, "redshift")
    assert [float(line) for line in lines[1:]] == pytest.approx(document["redshifts"], rel=1e-5)


def test_bad_galaxies_are_told_what_would_do(redshift: Running) -> None:
    images, magnitudes = galaxies(2)
    complaints = {
        packed(image=images): "magnitude has to be n x 5 numbers",
        packed(image=images[:1], magnitude=magnitudes): "there are 1 images and 2 magnitudes",
        packed(image=images[:, :4], magnitude=magnitudes): "it is 2 x 4 x 32 x 32",
        packed(image=images * numpy.inf, magnitude=magnitudes): "no finite numbers",
        b"PK\x03\x04": "no npz file",
        _foreign_zip(): "image has to be n x 5 x 32 x 32 numbers",
    }
    for body, complaint in complaints.items():
        assert complaint in redshift.complaint(body, NPZ)
    flat = json.dumps({"image": [1, 2], "magnitude": [1, 2, 3, 4, 5]}).encode()
    assert "image has to be 5 x 32 x 32 numbers; it is 2" in redshift.complaint(flat)


def test_an_npz_that_unpacks_to_too_much_is_refused_unread(redshift: Running) -> None:
    bomb = io.BytesIO()
    with (
        zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("image.npy", "w", force_zip64=True) as member,
    ):
        for _ in range(257):
            member.write(bytes(2**20))
    assert redshift.call(bomb.getvalue(), NPZ)[0] == 413


def test_it_keeps_the_contract(redshift: Running) -> None:
    """The last test: the contract ends the server."""
    checks = run_contract(redshift.subject, terms_of("redshift"))
    assert {check["name"]: check["ok"] for check in checks} == dict.fromkeys(TITLES, True)


def _foreign_zip() -> bytes:
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w") as archive:
        archive.writestr("image.npy", b"hello")
    return stored.getvalue()
