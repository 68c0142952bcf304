"""Made-up walks with known labels: joint angles over the cycle, legs that follow them, a camera.

The curves follow the textbook ones of healthy adults (D. A. Winter, Biomechanics and Motor Control
of Human Movement); each class bends them, more or less. It is a model of gaits, no clinical data.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy
from numpy import ndarray
from numpy.random import Generator

CLASSES = ("typical", "limping", "shuffling", "toe-walking")
THIGH, SHANK, FOOT = 0.53, 0.47, 0.28  # in lengths of the leg


@dataclass
class Leg:
    """How one leg moves; angles in degrees, `share` is the part of the cycle spent in stance."""

    hip_middle: float = 10.0
    hip_swing: float = 21.0
    knee_bent: float = 5.0
    knee_stance: float = 13.0
    knee_swing: float = 56.0
    ankle_middle: float = 0.0
    ankle_rocker: float = 10.0
    ankle_push: float = 18.0
    share: float = 0.60


def walk(label: str, random: Generator) -> tuple[ndarray, float]:
    """Return (walk, frames per second) of a made-up person who walks in that way."""
    left, right, strides_per_s, lag = _person(label, random)
    rate = random.uniform(25, 60)
    frames = int(rate * random.uniform(3.0, 8.0))
    time = numpy.arange(frames) / rate
    drift = 1 + 0.02 * numpy.sin(2 * numpy.pi * random.uniform(0.05, 0.2) * time)
    cycle = random.uniform(0, 1) + strides_per_s * time * drift
    points = _points(left, cycle, right, cycle + lag)
    speed = random.choice([0.0, 1.0]) * strides_per_s * random.uniform(0.8, 1.6)
    points[:, 0::2] += (speed * time)[:, None]
    return _filmed(points, random), float(rate)


def walks(count: int, random: Generator) -> tuple[list[tuple[ndarray, float]], ndarray]:
    """Return that many walks, and the index of each one's class."""
    labels = random.integers(0, len(CLASSES), count)
    return [walk(CLASSES[label], random) for label in labels], labels


def _person(label: str, random: Generator) -> tuple[Leg, Leg, float, float]:
    """Return both legs, strides per second, and by how much of a cycle the right leg is ahead."""
    legs = []
    general = random.normal(1.0, 0.08)
    for _ in range(2):
        leg = Leg()
        for name, value in vars(leg).items():
            setattr(leg, name, value * general * random.normal(1.0, 0.05))
        leg.ankle_middle = random.normal(0.0, 2.5)
        leg.share = random.normal(0.60, 0.015)
        legs.append(leg)
    rate, lag = random.normal(0.92, 0.09), random.normal(0.5, 0.012)
    much = random.uniform(0.45, 1.0)
    if label == "limping":
        hurt, other = random.permutation(2)
        legs[hurt].hip_swing *= 1 - 0.45 * much
        legs[hurt].knee_swing *= 1 - 0.35 * much
        legs[hurt].knee_stance *= 1 - 0.8 * much
        legs[hurt].ankle_push *= 1 - 0.6 * much
        legs[hurt].share -= 0.09 * much
        legs[other].share += 0.05 * much
        lag += 0.09 * much * (1 if hurt else -1)
        rate *= 1 - 0.12 * much
    elif label == "shuffling":
        for leg in legs:
            leg.hip_swing *= 1 - 0.65 * much
            leg.knee_swing *= 1 - 0.55 * much
            leg.knee_bent += 12 * much
            leg.hip_middle += 8 * much
            leg.ankle_push *= 1 - 0.7 * much
            leg.share += 0.07 * much
        rate *= 1 + 0.35 * much
    elif label == "toe-walking":
        for leg in legs:
            leg.ankle_middle -= 14 + 18 * much
            leg.ankle_rocker *= 1 - 0.7 * much
            leg.ankle_push *= 1 - 0.4 * much
            leg.knee_bent += 8 * much
    return legs[0], legs[1], max(rate, 0.4), lag


def _points(left: Leg, of_left: ndarray, right: Leg, of_right: ndarray) -> ndarray:
    """Return (frames, 16) with y upwards and the ground at 0: the lower foot bears the weight."""
    sides = [_leg(left, of_left % 1), _leg(right, of_right % 1)]
    lowest = numpy.minimum(*(side[:, 1::2].min(axis=1) for side in sides))
    points = numpy.concatenate(sides, axis=1)
    points[:, 1::2] -= lowest[:, None]
    return points


def _leg(leg: Leg, cycle: ndarray) -> ndarray:
    """Return (frames, 8): hip at the origin, then knee, ankle and toe, walking towards +x."""
    stance = cycle < leg.share
    even = numpy.where(
        stance, 0.6 * cycle / leg.share, 0.6 + 0.4 * (cycle - leg.share) / (1 - leg.share)
    )
    hip = leg.hip_middle + leg.hip_swing * numpy.cos(2 * numpy.pi * (even - 0.95))
    knee = (
        leg.knee_bent
        + leg.knee_stance * _bump(even, 0.14, 0.06)
        + leg.knee_swing * _bump(even, 0.73, 0.085)
    )
    ankle = (
        leg.ankle_middle
        - 6 * _bump(even, 0.07, 0.035)
        + leg.ankle_rocker * _bump(even, 0.43, 0.10)
        - leg.ankle_push * _bump(even, 0.63, 0.05)
    )
    thigh, shank = numpy.radians(hip), numpy.radians(hip - knee)
    foot = numpy.radians(hip - knee + ankle)
    knee_x, knee_y = THIGH * numpy.sin(thigh), -THIGH * numpy.cos(thigh)
    ankle_x, ankle_y = knee_x + SHANK * numpy.sin(shank), knee_y - SHANK * numpy.cos(shank)
    toe_x, toe_y = ankle_x + FOOT * numpy.cos(foot), ankle_y + FOOT * numpy.sin(foot)
    nothing = numpy.zeros_like(cycle)
    return numpy.stack([nothing, nothing, knee_x, knee_y, ankle_x, ankle_y, toe_x, toe_y], axis=1)


def _bump(cycle: ndarray, middle: float, width: float) -> ndarray:
    away = (cycle - middle + 0.5) % 1 - 0.5
    return numpy.exp(-0.5 * (away / width) ** 2)


def _filmed(points: ndarray, random: Generator) -> ndarray:
    """Return what a camera and an estimator of poses make of it: scale, direction, jitter."""
    jitter = random.uniform(0.002, 0.012)
    points = points + random.normal(0.0, jitter, points.shape)
    scale = random.uniform(0.5, 400)
    points = points * scale
    if random.random() < 0.5:
        points[:, 0::2] *= -1  # towards the left
    if random.random() < 0.5:
        points[:, 1::2] *= -1  # y downwards, as in pictures
    points[:, 0::2] += random.uniform(-2, 2) * scale
    points[:, 1::2] += random.uniform(-2, 2) * scale
    return points
