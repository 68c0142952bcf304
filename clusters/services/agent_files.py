"""Files between agents and the portal, whatever carries them: inputs that runs stage, outputs that
they leave.
"""

from __future__ import annotations

import uuid
from typing import BinaryIO

from calculations.models import InputFile, Run
from calculations.services.drafts import check_file_name
from calculations.services.results import file_key
from calculations.states import LEASED_RUNS
from clusters.models import Cluster
from labportal.common.errors import InvalidInput, NotFound, WrongMoment
from labportal.common.storage import storage


def staged_file(cluster: Cluster, run: uuid.UUID, name: str) -> InputFile:
    """Return an input of a run that this cluster holds. Raises NotFound."""
    held = Run.objects.filter(pk=run, cluster=cluster, state__in=LEASED_RUNS).first()
    files = InputFile.objects.filter(calculation=held.calculation_id, name=name) if held else None
    found = files.first() if files is not None else None
    if found is None:
        raise NotFound
    return found


def check_current(cluster: Cluster, run: uuid.UUID, attempt: int) -> Run:
    """Return the run where this cluster holds just this attempt of it. Raises WrongMoment."""
    held = Run.objects.filter(pk=run, cluster=cluster).first()
    if held is None or not held.is_leased or held.attempt != attempt:
        raise WrongMoment("This attempt is not held by this cluster.", code="not-current")
    return held


def keep_file(
    cluster: Cluster, run: uuid.UUID, attempt: int, name: str, stream: BinaryIO, *, sha256: str
) -> int:
    """Keep a file of the current attempt and return its size; keeping it again replaces it.

    Raises InvalidInput where the name or the content is not as it should be, WrongMoment.
    """
    check_file_name(name)
    held = check_current(cluster, run, attempt)
    key = file_key(held.pk, attempt, name)
    size, arrived = storage().save(key, stream)
    if arrived != sha256.lower():
        storage().delete(key)
        raise InvalidInput("The checksum does not match what arrived.", code="checksum")
    return size
