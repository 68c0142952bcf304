"""Inputs and answers in one line of a list. Pure."""

from __future__ import annotations

from typing import Any

from mlmodels.answers.drawing import drawn
from mlmodels.answers.parts import Facts, Figure, Part, Picture, Table, is_number
from mlmodels.inputs.filling import plain

LONGEST = 120
MOST_READ = 16_384  # characters; of longer ones the beginning is shown
MOST_FACTS = 4


def brief(text: str, content_type: str, schema: Any = None) -> str:
    """The named values that it holds, else what else it is, else how it begins."""
    if not text:
        return content_type.partition(";")[0] or "nothing"
    if len(text) > MOST_READ:
        return _cut(text)
    parts = drawn(text.encode("utf-8", "replace"), content_type, schema).parts
    facts = [row for part in parts if isinstance(part, Facts) for row in part.rows]
    words = [_fact(*row) for row in facts[:MOST_FACTS]]
    words += [name for part in parts if (name := _named(part)) and len(words) < MOST_FACTS]
    return _cut(" · ".join(words) or text)


def _fact(label: str, value: Any, unit: str) -> str:
    if is_number(value):
        value = plain(round(value, 6))
    return f"{label} {value} {unit}".rstrip()


def _named(part: Part) -> str:
    if isinstance(part, Figure):
        return part.title
    if isinstance(part, Table) and part.title:
        return f"{part.title}: {len(part.rows) + part.more} rows"
    if isinstance(part, Picture):
        return f"{part.title} {part.note.partition(',')[0]}".strip() or "a picture"
    return ""


def _cut(text: str) -> str:
    line = " ".join(text[: 4 * LONGEST].split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"
