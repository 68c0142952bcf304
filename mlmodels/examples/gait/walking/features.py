"""What is measured on a walk: joint angles, their ranges, how even the sides are, the cadence.

None of it depends on the unit, the place, the direction of walking, or whether y points down.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy
from numpy import ndarray

COLUMNS = tuple(
    f"{side}_{joint}_{axis}"
    for side in ("left", "right")
    for joint in ("hip", "knee", "ankle", "toe")
    for axis in ("x", "y")
)
LEAST_FRAMES = 20
LEAST_S = 1.5
SLOWEST, FASTEST = 0.3, 2.5  # strides per second


class NoWalk(ValueError):
    """Points that cannot be a walk; the message says why."""


@dataclass(frozen=True)
class Angles:
    """In degrees over the frames: the thigh against the vertical (forwards is positive), the knee's
    flexion, and the foot against the right angle (toes up is positive).
    """

    hip: ndarray
    knee: ndarray
    ankle: ndarray


@dataclass(frozen=True)
class Gait:
    """`evenness`: 1 where the legs do the same half a cycle apart, lower for a limp."""

    left: Angles
    right: Angles
    strides_per_s: float
    evenness: float


def measure(points: ndarray, rate: float) -> Gait:
    """Raises NoWalk where the points are no legs that move, or too short a film of them."""
    if len(points) < LEAST_FRAMES or len(points) / rate < LEAST_S:
        raise NoWalk(
            f"it has {len(points)} frames, {len(points) / rate:.1f} s: at least {LEAST_FRAMES} "
            f"frames and {LEAST_S} s are needed"
        )
    left, right = _upright(points.reshape(len(points), 2, 4, 2))
    sides = [_angles(_smooth(side, rate)) for side in (left, right)]
    difference = sides[0].hip - sides[1].hip
    if numpy.ptp(difference) < 3:
        raise NoWalk("the legs hardly move against each other")
    strides = _frequency(difference, rate)
    return Gait(*sides, strides, _evenness(sides[0].hip, sides[1].hip, rate / strides))


def features(gait: Gait) -> ndarray:
    """Return the 20 numbers that the classifier sees."""
    per_side = numpy.array([_of_side(side) for side in (gait.left, gait.right)])
    both = per_side.mean(axis=0)
    apart = numpy.abs(per_side[0] - per_side[1])
    return numpy.concatenate([both, apart, [gait.strides_per_s, gait.evenness]])


def _of_side(angles: Angles) -> list[float]:
    low, high = 5, 95
    hip, knee, ankle = (
        numpy.percentile(angle, [low, 50, high])
        for angle in (angles.hip, angles.knee, angles.ankle)
    )
    return [
        float(value)
        for value in (
            hip[2] - hip[0],
            hip[1],
            knee[0],
            knee[2],
            knee.mean(),
            ankle[1],
            ankle[0],
            ankle[2] - ankle[0],
            angles.knee.std(),
        )
    ]


def _upright(joints: ndarray) -> ndarray:
    """Return (2 sides, frames, 4 joints, x and y), y upwards and walking towards +x."""
    joints = joints.transpose(1, 0, 2, 3).copy()
    if (joints[:, :, 2, 1] - joints[:, :, 0, 1]).mean() > 0:
        joints[..., 1] *= -1
    if (joints[:, :, 3, 0] - joints[:, :, 2, 0]).mean() < 0:
        joints[..., 0] *= -1
    thigh = numpy.linalg.norm(joints[:, :, 1] - joints[:, :, 0], axis=-1)
    shank = numpy.linalg.norm(joints[:, :, 2] - joints[:, :, 1], axis=-1)
    if min(numpy.median(thigh), numpy.median(shank)) <= 0:
        raise NoWalk("hip, knee and ankle lie on one another")
    return joints


def _smooth(joints: ndarray, rate: float) -> ndarray:
    """Return a moving average over 80 ms, which takes the jitter of pose estimation away."""
    width = max(1, round(0.08 * rate))
    if width == 1:
        return joints
    kernel = numpy.ones(width) / width
    flat = joints.reshape(len(joints), -1)
    padded = numpy.pad(flat, ((width // 2, width - 1 - width // 2), (0, 0)), mode="edge")
    columns = [numpy.convolve(column, kernel, mode="valid") for column in padded.T]
    return numpy.stack(columns, axis=1).reshape(joints.shape)


def _angles(joints: ndarray) -> Angles:
    hip, knee, ankle, toe = (joints[:, place] for place in range(4))
    thigh = _from_below(knee - hip)
    shank = _from_below(ankle - knee)
    foot = numpy.degrees(numpy.arctan2(toe[:, 1] - ankle[:, 1], toe[:, 0] - ankle[:, 0]))
    return Angles(thigh, _turn(thigh - shank), _turn(foot - shank))


def _from_below(segment: ndarray) -> ndarray:
    return numpy.degrees(numpy.arctan2(segment[:, 0], -segment[:, 1]))


def _turn(degrees: ndarray) -> ndarray:
    return (degrees + 180) % 360 - 180


def _frequency(signal: ndarray, rate: float) -> float:
    """Return the strongest frequency between SLOWEST and FASTEST, in Hz."""
    windowed = (signal - signal.mean()) * numpy.hanning(len(signal))
    size = max(4096, 8 * len(signal))
    power = numpy.abs(numpy.fft.rfft(windowed, size))
    frequencies = numpy.fft.rfftfreq(size, 1 / rate)
    allowed = (frequencies >= SLOWEST) & (frequencies <= FASTEST)
    if not allowed.any():
        raise NoWalk(f"{rate:g} frames per second are too few")
    return float(frequencies[allowed][power[allowed].argmax()])


def _evenness(left: ndarray, right: ndarray, period: float) -> float:
    """Correlate one leg with the other half a cycle later."""
    shift = max(1, round(period / 2))
    if len(left) - shift < 4:
        return 1.0
    one, other = left[shift:], right[:-shift]
    if one.std() == 0 or other.std() == 0:
        return 0.0
    return float(numpy.corrcoef(one, other)[0, 1])
