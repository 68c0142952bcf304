"""Gait: says how somebody walks, from the places of hips, knees, ankles and toes over time."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from serving.formats import (
    array_of,
    csv_body,
    csv_rows,
    json_body,
    json_object,
    npy_array,
    number_of,
)
from serving.server import Answer, Call, Model, Rejected, main
from walking.classifier import Classifier
from walking.features import COLUMNS, Angles, Gait, NoWalk, features, measure

HERE = Path(__file__).resolve().parent
WEIGHTS = "weights.npz"
MOST_FRAMES = 100_000
USUAL_RATE = 30.0  # frames per second, where CSV and npy have no place for them
RATE = "frames_per_second="  # in X-Amzn-SageMaker-Custom-Attributes


class GaitModel(Model):
    """Weights are taken from the model's files (MODEL_DIR, else /opt/ml/model), else its own."""

    accepts = ("application/json", "text/csv", "application/x-npy")
    gives = ("application/json", "text/csv")

    classifier: Classifier

    def load(self) -> None:
        told = Path(os.environ.get("MODEL_DIR", "/opt/ml/model")) / WEIGHTS
        path = told if told.is_file() else HERE / WEIGHTS
        self.classifier = Classifier.load(path)
        # One walk before anybody asks: weights that do not fit are seen now, and the first caller
        # does not wait until numpy has found its parts.
        example = (HERE / "example.json").read_bytes()
        self.answer(Call(example, self.accepts[0], self.gives[0]))
        print(f"weights: {path}", flush=True)

    def answer(self, call: Call) -> Answer:
        points, rate = _walk(call)
        try:
            gait = measure(points, rate)
        except NoWalk as reason:
            raise Rejected(400, f"this is no walk: {reason}") from None
        probabilities = self.classifier.probabilities(features(gait)[None])[0]
        names = self.classifier.names
        if call.accept == "text/csv":
            rows = [[name, f"{p:.6f}"] for name, p in zip(names, probabilities, strict=True)]
            return Answer(csv_body(["class", "probability"], rows), call.accept)
        document = {
            "gait": names[int(probabilities.argmax())],
            "classes": list(names),
            "probabilities": [round(float(p), 6) for p in probabilities],
            **_measured(gait, rate),
        }
        return Answer(json_body(document), call.accept)


def _walk(call: Call) -> tuple[Any, float]:
    """Return (frames, 16) and the frames per second. Raises Rejected."""
    if call.content_type == "application/json":
        document = json_object(call.body)
        rate = number_of(document, "frames_per_second", 5, 1000)
        points: Any = document.get("joints")
    else:
        points = npy_array(call.body) if call.content_type != "text/csv" else csv_rows(call.body)
        rate = _rate(call.headers.get("x-amzn-sagemaker-custom-attributes", ""))
    array = array_of(points, "joints", (None, len(COLUMNS)))
    if len(array) > MOST_FRAMES:
        raise Rejected(400, f"joints has {len(array)} frames; send at most {MOST_FRAMES}")
    return array, rate


def _rate(attributes: str) -> float:
    for word in attributes.split(","):
        if word.strip().startswith(RATE):
            try:
                value: Any = float(word.strip()[len(RATE) :])
            except ValueError:
                value = None
            return number_of({"frames_per_second": value}, "frames_per_second", 5, 1000)
    return USUAL_RATE


def _measured(gait: Gait, rate: float) -> dict[str, Any]:
    def rounded(angle: Any) -> list[float]:
        return [round(float(value), 1) for value in angle]

    def side(angles: Angles) -> list[float]:
        return rounded(angles.knee)

    return {
        "cadence": round(gait.strides_per_s * 120, 1),
        "evenness": round(gait.evenness, 3),
        "time": [round(frame / rate, 3) for frame in range(len(gait.left.knee))],
        "left_knee": side(gait.left),
        "right_knee": side(gait.right),
    }


if __name__ == "__main__":
    sys.exit(main(GaitModel))
