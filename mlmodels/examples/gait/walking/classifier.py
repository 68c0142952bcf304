"""The classifier: one hidden layer over the features, trained by gradient descent (Adam)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy
from numpy import ndarray

HIDDEN = 16


@dataclass(frozen=True)
class Classifier:
    """`names` of the classes; features are centred by `mean` and divided by `scale`."""

    names: tuple[str, ...]
    mean: ndarray
    scale: ndarray
    first: ndarray
    first_bias: ndarray
    second: ndarray
    second_bias: ndarray

    def probabilities(self, features: ndarray) -> ndarray:
        """Return (n, classes) of features (n, measures)."""
        hidden = numpy.tanh((features - self.mean) / self.scale @ self.first + self.first_bias)
        return _softmax(hidden @ self.second + self.second_bias)

    def save(self, path: Path) -> None:
        numpy.savez(path, **{**vars(self), "names": numpy.array(self.names)})

    @classmethod
    def load(cls, path: Path) -> Classifier:
        with numpy.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        names = tuple(str(name) for name in arrays.pop("names"))
        return cls(names=names, **arrays)


def train(
    features: ndarray, labels: ndarray, names: tuple[str, ...], *, seed: int = 0, steps: int = 1500
) -> Classifier:
    """Return the classifier after that many steps over all of the data."""
    random = numpy.random.default_rng(seed)
    mean, scale = features.mean(axis=0), features.std(axis=0) + 1e-9
    inputs = (features - mean) / scale
    wanted = numpy.eye(len(names))[labels]
    width = features.shape[1]
    weights = [
        random.normal(0, width**-0.5, (width, HIDDEN)),
        numpy.zeros(HIDDEN),
        random.normal(0, HIDDEN**-0.5, (HIDDEN, len(names))),
        numpy.zeros(len(names)),
    ]
    mean_of, square_of = ([numpy.zeros_like(w) for w in weights] for _ in range(2))
    for step in range(1, steps + 1):
        hidden = numpy.tanh(inputs @ weights[0] + weights[1])
        error = (_softmax(hidden @ weights[2] + weights[3]) - wanted) / len(inputs)
        back = error @ weights[2].T * (1 - hidden**2)
        slopes = [inputs.T @ back, back.sum(axis=0), hidden.T @ error, error.sum(axis=0)]
        slopes[0] += 1e-4 * weights[0]
        slopes[2] += 1e-4 * weights[2]
        for place, slope in enumerate(slopes):
            mean_of[place] = 0.9 * mean_of[place] + 0.1 * slope
            square_of[place] = 0.999 * square_of[place] + 0.001 * slope**2
            ahead = mean_of[place] / (1 - 0.9**step)
            spread = numpy.sqrt(square_of[place] / (1 - 0.999**step)) + 1e-8
            weights[place] = weights[place] - 0.01 * ahead / spread
    return Classifier(names, mean, scale, *weights)


def _softmax(scores: ndarray) -> ndarray:
    raised = numpy.exp(scores - scores.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)
