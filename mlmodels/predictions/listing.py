"""Predictions in one line each, as lists show them: what was asked, answered, and about what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from labportal.common.sending import named
from mlmodels.answers.brief import brief
from mlmodels.models import ModelVersion, Prediction


@dataclass(frozen=True, slots=True)
class Row:
    prediction: Prediction
    asked: str
    answered: str
    about: str
    about_url: str


def rows_of(found: Sequence[Prediction]) -> list[Row]:
    """One query, for the schemas of the versions that were asked."""
    versions = ModelVersion.objects.filter(pk__in={one.version_id for one in found})
    known = versions.values_list("pk", "input_schema", "output_schema")
    schemas = {pk: (asked, answered) for pk, asked, answered in known}
    return [_row(one, *schemas.get(one.version_id, (None, None))) for one in found]


def _row(prediction: Prediction, input_schema: Any, output_schema: Any) -> Row:
    about, url = named(prediction.subject) if prediction.subject else ("", "")
    return Row(
        prediction=prediction,
        asked=brief(prediction.input_text, prediction.input_type, input_schema),
        answered=brief(prediction.output_text, prediction.output_type, output_schema),
        about=about,
        about_url=url,
    )
