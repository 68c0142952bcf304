"""The gait example: made-up walks, what is measured on them, its classifier, and calls of it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import jsonschema
import numpy
import pytest

from clusters.agent.contract import TITLES, run_contract
from mlmodels.examples.bundle import HERE, describe
from mlmodels.examples.gait.walking.classifier import Classifier, train
from mlmodels.examples.gait.walking.features import (
    COLUMNS,
    LEAST_FRAMES,
    NoWalk,
    features,
    measure,
)
from mlmodels.examples.gait.walking.generator import CLASSES, walk, walks
from tests.mlmodels.examples.running import Running, example, terms_of

pytestmark = pytest.mark.xdist_group("gait")
DESCRIBED = describe("gait")
EXAMPLE = json.loads(DESCRIBED["example"])


@pytest.fixture(scope="module")
def made() -> tuple[numpy.ndarray, numpy.ndarray]:
    """Features and labels of walks that the weights of the repository never saw."""
    random = numpy.random.default_rng(99)
    films, labels = walks(300, random)
    return numpy.array([features(measure(points, rate)) for points, rate in films]), labels


@pytest.fixture(scope="module")
def gait(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with example("gait", tmp_path_factory.mktemp("gait")) as server:
        yield server


def a_walk(label: str = "typical", seed: int = 3) -> tuple[numpy.ndarray, float]:
    return walk(label, numpy.random.default_rng(seed))


def test_the_weights_in_the_repository_name_unseen_walks_rightly(
    made: tuple[numpy.ndarray, numpy.ndarray],
) -> None:
    found, labels = made
    answers = Classifier.load(HERE / "gait" / "weights.npz").probabilities(found)
    numpy.testing.assert_allclose(answers.sum(axis=1), 1)
    for place in range(len(CLASSES)):
        right = answers[labels == place].argmax(axis=1) == place
        assert right.mean() >= 0.97


def test_training_learns_and_comes_out_the_same_each_time(
    made: tuple[numpy.ndarray, numpy.ndarray],
) -> None:
    found, labels = made
    learnt = train(found[:200], labels[:200], CLASSES, steps=150)
    again = train(found[:200], labels[:200], CLASSES, steps=150)
    others = learnt.probabilities(found[200:])
    assert (others.argmax(axis=1) == labels[200:]).mean() > 0.9
    assert numpy.array_equal(others, again.probabilities(found[200:]))


def test_what_is_measured_depends_on_neither_unit_place_nor_direction() -> None:
    points, rate = a_walk("limping")
    moved = points * 3.7 + numpy.tile([50.0, -20.0], 8)
    mirrored = points * numpy.tile([-1.0, -1.0], 8)
    expected = features(measure(points, rate))
    for other in (moved, mirrored):
        numpy.testing.assert_allclose(features(measure(other, rate)), expected, rtol=1e-6)


def test_sides_changed_over_make_no_difference() -> None:
    points, rate = a_walk("limping")
    swapped = numpy.concatenate([points[:, 8:], points[:, :8]], axis=1)
    first, second = (features(measure(film, rate)) for film in (points, swapped))
    numpy.testing.assert_allclose(first[:-1], second[:-1], rtol=1e-6)


def test_the_cadence_is_the_one_that_the_walk_was_made_with() -> None:
    time = numpy.arange(240) / 40
    angle = numpy.radians(25) * numpy.sin(2 * numpy.pi * 0.8 * time)
    sides = []
    for thigh in (angle, -angle):
        knee = numpy.stack([0.5 * numpy.sin(thigh), -0.5 * numpy.cos(thigh)])
        toe = 2 * knee + numpy.array([[0.2], [0.0]])
        sides.append(numpy.stack([*numpy.zeros_like(knee), *knee, *(2 * knee), *toe], axis=1))
    found = measure(numpy.concatenate(sides, axis=1), 40)
    assert found.strides_per_s == pytest.approx(0.8, abs=0.01)
    assert found.evenness > 0.99
    assert numpy.ptp(found.left.hip) == pytest.approx(50, abs=2)
    assert numpy.abs(found.left.knee).max() < 1e-6


@pytest.mark.parametrize(
    ("points", "rate", "why"),
    [
        (numpy.zeros((LEAST_FRAMES - 1, 16)), 10, "at least 20 frames"),
        (numpy.zeros((LEAST_FRAMES, 16)), 100, "0.2 s"),
        (numpy.zeros((60, 16)), 30, "lie on one another"),
        (numpy.tile(a_walk()[0][:1], (60, 1)), 30, "hardly move"),
    ],
)
def test_what_is_no_walk_is_told_why(points: numpy.ndarray, rate: float, why: str) -> None:
    with pytest.raises(NoWalk, match=why):
        measure(points, rate)


def test_the_example_is_answered_as_its_schema_says(gait: Running) -> None:
    document = gait.answer(DESCRIBED["example"].encode())
    jsonschema.validate(document, DESCRIBED["output_schema"])
    assert document["gait"] == "limping"
    assert len(document["time"]) == len(document["left_knee"]) == len(EXAMPLE["joints"])
    assert 60 < document["cadence"] < 120


def test_json_csv_and_npy_hold_the_same_walk(gait: Running) -> None:
    stored = io.BytesIO()
    numpy.save(stored, numpy.array(EXAMPLE["joints"]))
    lines = [",".join(COLUMNS), *(",".join(map(str, row)) for row in EXAMPLE["joints"])]
    bodies = {
        "text/csv": "\n".join(lines).encode(),
        "application/x-npy": stored.getvalue(),
        "application/json": DESCRIBED["example"].encode(),
    }
    answers = [gait.answer(body, content_type) for content_type, body in bodies.items()]
    assert answers[0] == answers[1] == answers[2]


def test_the_frames_per_second_of_a_csv_stand_in_a_header(gait: Running) -> None:
    body = "\n".join(",".join(map(str, row)) for row in EXAMPLE["joints"]).encode()
    rate = "frames_per_second=15"
    slower = gait.answer(body, "text/csv", X_Amzn_SageMaker_Custom_Attributes=rate)
    usual = gait.answer(body, "text/csv")
    assert slower["cadence"] == pytest.approx(usual["cadence"] / 2, rel=0.05)


def test_an_answer_comes_as_csv_where_it_is_asked_for(gait: Running) -> None:
    status, body = gait.call(DESCRIBED["example"].encode(), Accept="text/csv")
    lines = body.decode().splitlines()
    assert (status, lines[0]) == (200, "class,probability")
    assert [line.split(",")[0] for line in lines[1:]] == list(CLASSES)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"", "the body is no JSON"),
        (b"[]", "has to be a JSON object"),
        (b"[" * 100_000, "the body is no JSON"),
        (b'{"frames_per_second": NaN}', "NaN is no number of JSON"),
        (b'{"joints": []}', "frames_per_second has to be a number from 5 to 1000"),
        (b'{"frames_per_second": true}', "frames_per_second has to be a number"),
        (b'{"frames_per_second": 30}', "joints has to be n x 16 numbers"),
        (b'{"frames_per_second": 30, "joints": []}', "joints has to be n x 16 numbers; it is 0"),
        (b'{"frames_per_second": 30, "joints": [[1], [1, 2]]}', "rows of one length"),
        (b'{"frames_per_second": 30, "joints": [["1"]]}', "joints has to be n x 16 numbers"),
        (b'{"frames_per_second": 30, "joints": [[1, 2]]}', "it is 1 x 2"),
    ],
)
def test_bad_json_is_told_what_would_do(gait: Running, body: bytes, complaint: str) -> None:
    assert complaint in gait.complaint(body)


def test_bad_csv_and_npy_are_told_what_would_do(gait: Running) -> None:
    objects = io.BytesIO()
    numpy.save(objects, numpy.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert "no npy file" in gait.complaint(objects.getvalue(), "application/x-npy")
    assert "no npy file" in gait.complaint(b"\x93NUMPY", "application/x-npy")
    assert "row 2 of the CSV" in gait.complaint(b"1,2\n1,two\n", "text/csv")
    assert "no CSV" in gait.complaint(b"\xff\xfe", "text/csv")
    assert "no finite numbers" in gait.complaint(b",".join([b"nan"] * 16), "text/csv")
    still = ",".join(["1"] * 16)
    assert "this is no walk" in gait.complaint("\n".join([still] * 60).encode(), "text/csv")


def test_it_keeps_the_contract(gait: Running) -> None:
    """The last test: the contract ends the server."""
    checks = run_contract(gait.subject, terms_of("gait"))
    assert {check["name"]: check["ok"] for check in checks} == dict.fromkeys(TITLES, True)
