"""The energy of a solid against its volume: the Birch-Murnaghan equation of state, fitted.

Pure functions on plain values. Standard library only and Python 3.9, since the agent carries this
file to login nodes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from calculations.software.fitting import solve

EV_PER_CUBIC_ANGSTROM_IN_GPA = 160.21766339999998
LEAST_POINTS_CUBIC = 4  # the third order has four unknowns
# Å³ and eV; what lies beyond was read from a broken file, and would overflow.
VOLUMES, LARGEST_ENERGY = (1e-3, 1e9), 1e12


@dataclass(frozen=True)
class EquationOfState:
    """`volume` (Å³) and `energy` (eV) of the minimum, `bulk_modulus` (GPa) and its derivative
    there, None for the second order; `rms` is what the fit leaves over (eV).
    """

    volume: float
    energy: float
    bulk_modulus: float
    derivative: float | None
    rms: float
    inside: bool
    _centre: float
    _width: float
    _coefficients: tuple[float, ...]

    def at(self, volume: float) -> float:
        """Return the energy (eV) at a volume (Å³)."""
        return _polynomial(self._coefficients, (volume ** (-2 / 3) - self._centre) / self._width)


def fit(volumes: Sequence[float], energies: Sequence[float]) -> EquationOfState | None:
    """Fit E(V); None for fewer than three different volumes, or where there is no minimum.

    Birch, Phys. Rev. 71, 809 (1947): with x = V^(-2/3) the third order is a cubic polynomial
    in x, so that linear least squares find it; with three points the second order, a parabola
    in x. The minimum follows from dE/dx = 0; B0 = V E''(V) and B0' = -1 - V E'''(V) / E''(V).
    """
    points = sorted(zip(volumes, energies))
    if len(volumes) != len(energies):
        raise ValueError(f"{len(volumes)} volumes, {len(energies)} energies")
    if not all(VOLUMES[0] < v < VOLUMES[1] and abs(e) < LARGEST_ENERGY for v, e in points):
        return None
    different = len({v for v, _ in points})
    if different < 3:
        return None
    degree = 3 if different >= LEAST_POINTS_CUBIC else 2
    x = [v ** (-2 / 3) for v, _ in points]
    centre, width = (max(x) + min(x)) / 2, (max(x) - min(x)) / 2
    offset = math.fsum(e for _, e in points) / len(points)
    if width <= 1e-9 * centre:
        return None
    scaled = [(value - centre) / width for value in x]
    powers = [[value**power for power in range(degree + 1)] for value in scaled]
    found = solve(powers, [e - offset for _, e in points])
    if found is None:
        return None
    coefficients = (found[0] + offset, *found[1:])
    place = _minimum(coefficients)
    if place is None or not VOLUMES[1] ** (-2 / 3) < centre + place * width < VOLUMES[0] ** (
        -2 / 3
    ):
        return None
    return _at_minimum(coefficients, place, centre, width, points)


def _at_minimum(
    coefficients: tuple[float, ...],
    place: float,
    centre: float,
    width: float,
    points: Sequence[tuple[float, float]],
) -> EquationOfState | None:
    volume = (centre + place * width) ** (-3 / 2)
    second = (2 * coefficients[2] + 6 * (*coefficients, 0.0)[3] * place) / width**2
    third = 6 * (*coefficients, 0.0)[3] / width**3
    x1 = -2 / 3 * volume ** (-5 / 3)  # dx/dV and d²x/dV²
    x2 = 10 / 9 * volume ** (-8 / 3)
    curvature = second * x1**2
    if curvature <= 0:  # a minimum too flat for the digits there are
        return None
    derivative = None
    if len(coefficients) == 4:
        derivative = -1 - volume * (third * x1**3 + 3 * second * x1 * x2) / curvature
    values = [_polynomial(coefficients, (v ** (-2 / 3) - centre) / width) for v, _ in points]
    rest = math.fsum((value - e) ** 2 for value, (_, e) in zip(values, points))
    return EquationOfState(
        volume=volume,
        energy=_polynomial(coefficients, place),
        bulk_modulus=volume * curvature * EV_PER_CUBIC_ANGSTROM_IN_GPA,
        derivative=derivative,
        rms=math.sqrt(rest / len(points)),
        inside=points[0][0] <= volume <= points[-1][0],
        _centre=centre,
        _width=width,
        _coefficients=coefficients,
    )


def _polynomial(coefficients: Sequence[float], x: float) -> float:
    value = 0.0
    for coefficient in reversed(coefficients):
        value = value * x + coefficient
    return value


def _minimum(coefficients: Sequence[float]) -> float | None:
    """Return where the polynomial of second or third degree has its minimum, None without one."""
    _, linear, square = coefficients[:3]
    cubic = coefficients[3] if len(coefficients) > 3 else 0.0
    if abs(cubic) <= 1e-12 * abs(square):
        return -linear / (2 * square) if square > 0 else None
    discriminant = square * square - 3 * cubic * linear
    if discriminant <= 0:
        return None
    root = math.sqrt(discriminant)
    # The root with positive curvature, in the form without cancellation.
    return (root - square) / (3 * cubic) if square < 0 else -linear / (square + root)
