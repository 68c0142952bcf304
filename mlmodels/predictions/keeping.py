"""Stores what was asked and answered: short texts in the row, the rest in the file store.

Called in batches, outside of calls. What belongs to a model or a person that was deleted meanwhile
is let go.
"""

from __future__ import annotations

import logging
import tempfile
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import BinaryIO, cast

from django.db.models import F, QuerySet
from django.db.models.functions import Now

from labportal.accounts.models import User
from labportal.common.errors import DomainError
from labportal.common.sending import find_subject
from labportal.common.storage import storage
from mlmodels.content import is_text
from mlmodels.models import ModelVersion, Prediction, RegisteredModel
from mlmodels.policy import require_change

log = logging.getLogger(__name__)

INLINE = 64 * 1024  # texts up to here stand in the row, and are searched
IN_MEMORY = 64 * 1024
MOST_KEPT = 1 << 30  # of one answer; of a longer one nothing is kept
FORGOTTEN_AT_ONCE = 500


def new_body() -> BinaryIO:
    """Where the copy of a body grows: small ones in memory, large ones on disk."""
    return cast(BinaryIO, tempfile.SpooledTemporaryFile(max_size=IN_MEMORY))


@dataclass(slots=True)
class Kept:
    """One call as it was; `at` as time.time() has it. `cut`: more was answered than is kept."""

    model_id: int
    version_id: int | None
    user_id: int
    at: float
    ms: float = 0.0
    status: int = 200
    inference_id: str = ""
    subject: str = ""
    input_type: str = ""
    output_type: str = ""
    input: BinaryIO = field(default_factory=new_body)
    output: BinaryIO = field(default_factory=new_body)
    cut: bool = False

    def answer(self, piece: bytes) -> None:
        """Gather the answer; one without an end must not fill the disk."""
        self.cut = self.cut or self.output.tell() + len(piece) > MOST_KEPT
        if not self.cut:
            self.output.write(piece)

    def close(self) -> None:
        self.input.close()
        self.output.close()


def may_be_kept_with(user_id: int, subject: str) -> bool:
    """Whether this person may have an answer stored beside that thing."""
    try:
        find_subject(User.objects.get(pk=user_id), subject)
    except (DomainError, User.DoesNotExist):
        return False
    return True


def store(batch: Sequence[Kept]) -> None:
    """Raises Unavailable where the file store is away, and what the database raises."""
    models = set(
        RegisteredModel.objects.filter(pk__in={k.model_id for k in batch}).values_list(
            "pk", flat=True
        )
    )
    people = set(
        User.objects.filter(pk__in={k.user_id for k in batch}).values_list("pk", flat=True)
    )
    versions = set(
        ModelVersion.objects.filter(pk__in={k.version_id for k in batch}).values_list(
            "pk", flat=True
        )
    )
    rows = [
        _row(kept, versions) for kept in batch if kept.model_id in models and kept.user_id in people
    ]
    Prediction.objects.bulk_create(rows)


def _row(kept: Kept, versions: Iterable[int]) -> Prediction:
    input_text, input_key = _placed(kept, "input", kept.input, kept.input_type)
    output_text, output_key = _placed(kept, "output", kept.output, kept.output_type)
    return Prediction(
        model_id=kept.model_id,
        version_id=kept.version_id if kept.version_id in versions else None,
        user_id=kept.user_id,
        at=datetime.fromtimestamp(kept.at, UTC),
        ms=kept.ms,
        status=kept.status,
        inference_id=kept.inference_id[:64],
        subject=kept.subject[:80],
        input_type=kept.input_type[:100],
        input_text=input_text,
        input_key=input_key,
        output_type=kept.output_type[:100],
        output_text=output_text,
        output_key=output_key,
    )


def _placed(kept: Kept, part: str, body: BinaryIO, content_type: str) -> tuple[str, str]:
    """Return (text, key): one of them is "", both where there is nothing."""
    size = body.seek(0, 2)
    body.seek(0)
    if size == 0:
        return "", ""
    if size <= INLINE and is_text(content_type):
        raw = body.read()
        body.seek(0)
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            text = "\0"
        if "\0" not in text:  # PostgreSQL's text holds none
            return text, ""
    key = f"models/{kept.model_id}/predictions/{uuid.uuid4().hex}-{part}"
    storage().save(key, body)
    return "", key


def delete(prediction: Prediction, *, actor: User) -> None:
    """For good. One's own; of others for whoever may change the model. Raises NotAllowed."""
    if prediction.user_id != actor.pk:
        require_change(actor, prediction.model)
    forget(Prediction.objects.filter(pk=prediction.pk))


def forget_old() -> int:
    """Delete what is older than its model keeps it; return how many."""
    old = Prediction.objects.filter(at__lt=Now() - F("model__prediction_days") * timedelta(days=1))
    count = 0
    while rows := list(old.order_by("pk")[:FORGOTTEN_AT_ONCE]):
        count += forget(Prediction.objects.filter(pk__in=[row.pk for row in rows]))
    return count


def forget(rows: QuerySet[Prediction]) -> int:
    """Delete predictions with their files; return how many."""
    found = list(rows.values_list("pk", "input_key", "output_key"))
    deleted, _ = Prediction.objects.filter(pk__in=[pk for pk, *_ in found]).delete()
    for _, *keys in found:
        for key in filter(None, keys):
            try:
                storage().delete(key)
            except DomainError as error:
                log.warning("%s is left in the file store: %s", key, error)
    return deleted
