"""python3 train.py: train the classifier on made-up walks, try it on others, write weights.npz."""

from __future__ import annotations

from pathlib import Path

import numpy
from walking.classifier import Classifier, train
from walking.features import features, measure
from walking.generator import CLASSES, walks

WEIGHTS = Path(__file__).resolve().with_name("weights.npz")
SEED = 20_261_121
TRAINED_ON, TRIED_ON = 6000, 2000


def measured(count: int, seed: int) -> tuple[numpy.ndarray, numpy.ndarray]:
    made, labels = walks(count, numpy.random.default_rng(seed))
    return numpy.array([features(measure(points, rate)) for points, rate in made]), labels


def main() -> None:
    classifier: Classifier = train(*measured(TRAINED_ON, SEED), CLASSES)
    classifier.save(WEIGHTS)
    found, labels = measured(TRIED_ON, SEED + 1)
    answers = classifier.probabilities(found).argmax(axis=1)
    print(f"{(answers == labels).mean():.1%} of {TRIED_ON} other walks are named rightly")
    for place, name in enumerate(CLASSES):
        of_class = answers[labels == place]
        counts = [f"{(of_class == other).mean():6.1%} {CLASSES[other]}" for other in range(4)]
        print(f"  {name:<12} {', '.join(counts)}")


if __name__ == "__main__":
    main()
