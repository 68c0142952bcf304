"""What makes a structure the same as another: a hash blind to the order of atoms and translation.

Rounded coordinates or sorted distances would need thousands of roundings, and noise always pushes
some over the edge of a bin. So a few smooth sums over all atoms are rounded; where one lies near
an edge, `fingerprints` also gives the hash of the bin beyond it.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from itertools import product
from typing import Any

from calculations.software.structure import Structure

# Turned and mirrored molecules are others: a field has a direction, and the portal turns structures
# on purpose. A crystal is first turned into the usual setting of its axes (a along x, b in the
# plane of x and y), since CIF keeps no other; its mirror image and its other cells differ.
VERSION = 1
REACH = 5.0  # Å; how far pairs are looked at
ATOM_VOLUME = 10.0  # Å³; crystals are scaled to it, so that a rounded cell moves no sum
EDGE = 0.15  # of a bin; nearer to its edge the neighbouring bin counts too
MOST_NEAR_EDGES = 6
MOST_PAIRS = 2_000_000
MOST_IMAGES = 600_000
LENGTH_BIN, ANGLE_BIN = 0.002, 0.02  # Å, degrees
PAIR_BIN, SITE_BIN, WAVE_BIN = 0.005, 0.005, 0.002
PAIR_WAVES = ((1.31, 0.87, 1.03), (0.91, -1.27, 1.17))  # 1/Å, in no direction of symmetry
# Enough that parts out of each other's reach, which are no pairs, do not move unseen: by one wave
# alone, steps along its crests would be. Of atoms that lie evenly about the middle none is odd.
EVEN_WAVES = ((0.53, 0.29, 0.41), (0.71, -0.23, 0.13), (0.11, 0.67, -0.31), (-0.19, 0.37, 0.59))
ODD_WAVES = ((-0.37, 0.47, 0.61), (0.47, -0.61, 0.29))
SHELL = [
    h for h in (*product((-1, 0, 1), repeat=3), (2, 0, 0), (0, 2, 0), (0, 0, 2)) if h > (0, 0, 0)
]


def fingerprint(structure: Structure) -> str:
    """Return 64 hexadecimal digits."""
    return fingerprints(structure)[0]


def fingerprints(structure: Structure) -> tuple[str, ...]:
    """Return the fingerprint, and those that the same structure with rounded numbers may have."""
    values, discrete = _describe(structure)
    shares = [value / size + 0.5 for value, size in values]  # round numbers lie amid a bin
    bins = [int(share // 1) for share in shares]
    near = []
    for place, share in enumerate(shares):
        inside = share - bins[place]
        distance = min(inside, 1.0 - inside)
        if distance < EDGE:
            near.append((distance, place, -1 if inside < 0.5 else 1))
    near = sorted(near)[:MOST_NEAR_EDGES]
    found = []
    for steps in product((False, True), repeat=len(near)):
        chosen = list(bins)
        for moved, (_, place, side) in zip(steps, near, strict=True):
            chosen[place] += side if moved else 0
        text = json.dumps([VERSION, discrete, chosen])
        found.append(hashlib.sha256(text.encode()).hexdigest())
    return tuple(found)


def _describe(structure: Structure) -> tuple[list[tuple[float, float]], list[Any]]:
    """Return (value, width of its bins) of each sum, and what needs no rounding."""
    import numpy as np

    counts = sorted(Counter(atom.symbol for atom in structure.atoms).items())
    places = np.array([atom.position for atom in structure.atoms], float)
    atomic = np.array([atom.number for atom in structure.atoms], float)
    first, second = 1.0 + (atomic * 0.6180339887) % 1.0, 1.0 + (atomic * 0.4142135624) % 1.0
    root = float(len(atomic)) ** 0.5
    periodic = structure.periodic
    if "T" not in periodic:
        centred = places - places.mean(axis=0)
        values = _pair_sums(centred, None, periodic, first, second, root)
        sums = [*(first @ np.cos(centred @ np.array(EVEN_WAVES).T))]
        sums += [*(second @ np.sin(centred @ np.array(ODD_WAVES).T))]
        values += [(float(value), WAVE_BIN * root) for value in sums]
        return values, [counts, periodic]
    cell = np.array(structure.cell, float)
    shares = places @ np.linalg.inv(cell)
    lower = np.linalg.cholesky(cell @ cell.T)  # the vectors in the usual setting
    values = [(float(length), LENGTH_BIN) for length in np.linalg.norm(cell, axis=1)]
    values += [(_angle(cell[i], cell[j]), ANGLE_BIN) for i, j in ((1, 2), (0, 2), (0, 1))]
    volume = abs(float(np.linalg.det(cell)))
    scale = (len(atomic) * ATOM_VOLUME / volume) ** (1 / 3)
    values += _pair_sums(shares, lower * scale, periodic, first, second, root)
    values += _wave_sums(shares, first, root)
    return values, [counts, periodic, bool(np.linalg.det(cell) > 0)]


def _angle(a: Any, b: Any) -> float:
    import numpy as np

    cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))


def _wave_sums(shares: Any, weights: Any, root: float) -> list[tuple[float, float]]:
    """Sizes of structure factors: they know how parts lie that are too far apart to be pairs."""
    import numpy as np

    sizes = np.array(
        [abs(weights @ np.exp(2j * np.pi * (shares @ np.array(h, float)))) for h in SHELL]
    )
    mixed = 1.0 + (np.arange(len(SHELL)) * 0.6180339887) % 1.0
    signs = np.where(np.arange(len(SHELL)) % 3 == 0, -1.0, 1.0)
    return [
        (float(mixed @ sizes), WAVE_BIN * root),
        (float((signs * mixed[::-1]) @ sizes), WAVE_BIN * root),
    ]


def _pair_sums(
    places: Any, cell: Any, periodic: str, first: Any, second: Any, root: float
) -> list[tuple[float, float]]:
    """Sums over pairs of near atoms; `places` are shares of the cell's vectors where there is one.

    One sum is even in the direction of a pair, one is odd. The last tells how unlike the sites of
    an element are: in a crystal of high symmetry it alone feels a single small step.
    """
    import numpy as np

    if cell is None:
        origins, images, owners = places, places, np.arange(len(places))
    else:
        origins, images, owners = _images(places, cell, periodic)
    i, j, distance = _near(origins, images)
    inside = distance > 1e-6
    i, j, distance = i[inside], j[inside], distance[inside]
    apart, partner = images[j] - origins[i], owners[j]
    bell = (1.0 - (distance / REACH) ** 2).clip(0.0) ** 3
    even = first[i] * first[partner] * bell * np.cos(apart @ np.array(PAIR_WAVES[0]))
    odd = first[i] * second[partner] * bell * np.sin(apart @ np.array(PAIR_WAVES[1]))
    around = np.bincount(i, first[partner] * bell, minlength=len(origins))
    unlike = 0.0
    for kind in np.unique(first):
        same = around[first == kind]
        unlike += float(((same - same.mean()) ** 4).sum())
    return [
        (float(even.sum()), PAIR_BIN * root),
        (float(odd.sum()), PAIR_BIN * root),
        (unlike**0.25, SITE_BIN * root**0.5),
    ]


def _images(shares: Any, cell: Any, periodic: str) -> tuple[Any, Any, Any]:
    """Return atoms inside the cell, all images within REACH of it, and whose images they are."""
    import numpy as np

    repeats = np.array([letter == "T" for letter in periodic])
    wrapped = np.where(repeats, shares % 1.0, shares)
    margins = REACH * np.linalg.norm(np.linalg.inv(cell), axis=0)
    steps = np.where(repeats, np.ceil(margins), 0.0)
    while len(shares) * float(np.prod(2 * steps + 1)) > MOST_IMAGES:  # a cell beyond all reason
        steps = np.floor(steps * 0.7)
    shifts = np.array(list(product(*(range(-int(n), int(n) + 1) for n in steps))), float)
    spread = (wrapped[None, :, :] + shifts[:, None, :]).reshape(-1, 3)
    owners = np.tile(np.arange(len(shares)), len(shifts))
    near = ((spread > -margins) & (spread < 1.0 + margins)) | ~repeats
    kept = near.all(axis=1)
    return wrapped @ cell, spread[kept] @ cell, owners[kept]


def _near(origins: Any, images: Any) -> tuple[Any, Any, Any]:
    """Return pairs nearer than REACH, or than less where atoms crowd: (origin, image, distance)."""
    from scipy.spatial import cKDTree

    here, there, reach = cKDTree(origins), cKDTree(images), REACH
    while here.count_neighbors(there, reach) > MOST_PAIRS:
        reach *= 0.8
    found = here.sparse_distance_matrix(there, reach, output_type="ndarray")
    return found["i"], found["j"], found["v"]


def same(one: Structure, other: Structure) -> bool:
    """Whether both are one structure but for the order of atoms, translation and rounding."""
    return fingerprint(one) in fingerprints(other)
