"""Drawing a JSON answer: values as facts, lists as charts, records as tables, bytes as pictures.

Pure. Titles and units come from the output schema, where it has them.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Mapping
from typing import Any

from mlmodels.answers.parts import (
    MOST_COLUMNS,
    MOST_ROWS,
    MOST_TEXT,
    Column,
    Facts,
    Part,
    Picture,
    Table,
    Text,
    apart,
    figure,
    is_number,
    is_series,
    number_map,
)
from mlmodels.inputs.fields import text as plain
from mlmodels.inputs.fields import unit_of, words_of
from mlmodels.inputs.reading import picture_type
from mlmodels.inputs.schema import SchemaReader

MOST_DEPTH = 3
MOST_PARTS = 24
FEW = 4  # numbers that are read, not drawn
LONG = 160  # characters
LEAST_MAP = 12
LONGEST_MAP = 4  # times the shorter side; what is longer are records
MOST_CLASSES = 60
CLASS_NAMES = ("labels", "classes", "class_names", "names", "categories")
SCORES = ("scores", "probabilities", "probs", "confidences", "confidence", "logits")
ALONG = ("x", "t", "time", "times", "wavelength", "wavelengths", "frequency", "energy", "step")
SHOWN_PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")


class Drawing:
    """One answer; `of` may be called once."""

    def __init__(self, schema: Any = None) -> None:
        self._reader = SchemaReader(schema)
        self._parts: list[Part] = []

    def of(self, value: Any) -> list[Part]:
        schema = dict(self._reader.root())
        if isinstance(value, dict):
            schema.pop("title", None)  # the whole is called the answer
        self._draw(value, "", schema, 0)
        return self._parts[:MOST_PARTS]

    def _draw(self, value: Any, title: str, schema: Mapping[str, Any], depth: int) -> None:
        if len(self._parts) >= MOST_PARTS:
            return
        title = plain(schema.get("title")) or title
        if isinstance(value, dict) and depth < MOST_DEPTH:
            self._object(value, title, schema, depth)
        elif is_series(value):
            self._series(value, title, schema)
        elif _is_records(value):
            self._records(value, title, schema)
        elif _is_rectangle(value):
            self._rectangle(value, title)
        elif isinstance(value, list) and value and all(_is_word(one) for one in value):
            rows = tuple((one,) for one in value[:MOST_ROWS])
            more = max(0, len(value) - MOST_ROWS)
            self._parts.append(Table(title, (Column(title or "Value"),), rows, more))
        elif isinstance(value, list | dict) and value:
            if not self._same_keys(value, title, depth):
                self._parts.append(
                    Text(title, json.dumps(value, ensure_ascii=False, indent=1)[:MOST_TEXT])
                )
        else:
            self._single(value, title, schema)

    def _object(
        self, value: dict[str, Any], title: str, schema: Mapping[str, Any], depth: int
    ) -> None:
        left = dict(value)
        scores = self._classes(left, title, schema)
        facts, series, rest = [], [], []
        for key, one in left.items():
            inner = self._inner(schema, key)
            label = plain(inner.get("title")) or words_of(key)
            if is_series(one) and len(one) > FEW:
                series.append((key, label, unit_of(inner), one))
            elif _is_fact(one) and not _is_encoded(one, inner):
                facts.append((label, _fact(one), unit_of(inner)))
            else:
                rest.append((label, one, inner))
        if facts:
            self._parts.append(Facts(title, tuple(facts)))
        if scores:
            self._bars(*scores)
        self._charts(series, title)
        for label, one, inner in rest:
            self._draw(one, f"{title} · {label}" if title else label, inner, depth + 1)

    def _inner(self, schema: Mapping[str, Any], key: str) -> Mapping[str, Any]:
        known = schema.get("properties")
        return self._reader.resolved(known.get(key)) if isinstance(known, Mapping) else {}

    def _classes(
        self, left: dict[str, Any], title: str, schema: Mapping[str, Any]
    ) -> tuple[list[tuple[str, Any]], str] | None:
        """Scores by class and what they are called; what is drawn of them is taken out."""
        names = next((k for k in CLASS_NAMES if isinstance(left.get(k), list)), None)
        scores = next((k for k in SCORES if _is_filled(left.get(k))), None)
        if names and scores and 1 < len(left[names]) == len(left[scores]) <= MOST_CLASSES:
            words = plain(self._inner(schema, scores).get("title")) or words_of(scores)
            pairs = list(zip(map(str, left.pop(names)), left.pop(scores), strict=True))
            return pairs, words
        if _is_distribution(left):
            pairs = list(left.items())
            left.clear()
            return pairs, title or "Share"
        for key, one in left.items():
            if _is_distribution(one):
                return list(left.pop(key).items()), words_of(key)
        return None

    def _bars(self, pairs: list[tuple[str, Any]], title: str) -> None:
        pairs.sort(key=lambda pair: -pair[1])
        names, shares = [name for name, _ in pairs], [share for _, share in pairs]
        columns = (Column("Class"), Column(title, is_number=True))
        drawn = figure(
            f"bars-{len(self._parts)}",
            title,
            ("Class", "", names),
            [(title, "", shares)],
            style="bars",
        )
        self._parts += [drawn, Table("", columns, tuple(pairs[:MOST_ROWS]))]

    def _charts(self, series: list[tuple[str, str, str, list[Any]]], title: str) -> None:
        by_length: dict[int, list[tuple[str, str, str, list[Any]]]] = {}
        for one in series:
            by_length.setdefault(len(one[3]), []).append(one)
        for length, some in by_length.items():
            along = next((one for one in some if one[0].lower() in ALONG), None)
            others = [one for one in some if one is not along] or some
            x = (
                along[1:]
                if along and others is not some
                else ("Place", "", list(range(1, length + 1)))
            )
            for group in apart([one[1:] for one in others]):
                heading = ", ".join(label for label, _, _ in group)
                name = f"chart-{len(self._parts)}"
                self._parts.append(
                    figure(name, f"{title} · {heading}" if title else heading, x, group)
                )

    def _series(self, values: list[Any], title: str, schema: Mapping[str, Any]) -> None:
        label = title or "Value"
        if len(values) <= FEW:
            self._parts.append(Facts(title, ((label, _fact(values), unit_of(schema)),)))
        else:
            self._charts([("", label, unit_of(schema), values)], "")

    def _records(self, rows: list[dict[str, Any]], title: str, schema: Mapping[str, Any]) -> None:
        names = list(dict.fromkeys(key for row in rows[:MOST_ROWS] for key in row))[:MOST_COLUMNS]
        items = self._reader.resolved(schema.get("items"))
        columns = []
        for name in names:
            inner = self._inner(items, name)
            numeric = all(is_number(row[name]) for row in rows if row.get(name) is not None)
            columns.append(
                Column(plain(inner.get("title")) or words_of(name), unit_of(inner), numeric)
            )
        shown = tuple(tuple(_cell(row.get(name)) for name in names) for row in rows[:MOST_ROWS])
        self._parts.append(Table(title, tuple(columns), shown, max(0, len(rows) - MOST_ROWS)))

    def _rectangle(self, rows: list[list[Any]], title: str) -> None:
        width = len(rows[0])
        short, long = sorted((len(rows), width))
        if short >= LEAST_MAP and long <= LONGEST_MAP * short:
            picture = number_map(title, rows)
            if picture is not None:
                self._parts.append(picture)
                return
        if width > MOST_COLUMNS:
            self._parts.append(Text(title, json.dumps(rows)[:MOST_TEXT]))
            return
        columns = tuple(Column(str(place + 1), is_number=True) for place in range(width))
        if len(rows) > FEW and width <= FEW:
            series = [("", str(p + 1), "", [row[p] for row in rows]) for p in range(width)]
            self._charts(series, title)
        shown = tuple(map(tuple, rows[:MOST_ROWS]))
        self._parts.append(Table(title, columns, shown, max(0, len(rows) - MOST_ROWS)))

    def _same_keys(self, value: Any, title: str, depth: int) -> bool:
        """A list of a single object or list is shown as that."""
        if not isinstance(value, list) or len(value) != 1 or depth >= MOST_DEPTH:
            return False
        self._draw(value[0], title, {}, depth + 1)
        return True

    def _single(self, value: Any, title: str, schema: Mapping[str, Any]) -> None:
        picture = _picture(value, schema)
        if picture:
            self._parts.append(Picture(title, picture))
        elif isinstance(value, str) and len(value) > LONG:
            self._parts.append(Text(title, value[:MOST_TEXT]))
        else:
            self._parts.append(Facts("", ((title or "Answer", _fact(value), unit_of(schema)),)))


def _is_word(value: Any) -> bool:
    return (
        value is None
        or isinstance(value, bool)
        or is_number(value)
        or (isinstance(value, str) and len(value) <= LONG)
    )


def _is_fact(value: Any) -> bool:
    few = isinstance(value, list) and len(value) <= FEW and all(_is_word(one) for one in value)
    return _is_word(value) or few


def _fact(value: Any) -> Any:
    if value is None or value in ([], {}):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(str(_fact(one)) for one in value)
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _cell(value: Any) -> Any:
    if _is_fact(value):
        return _fact(value) if value is not None else ""
    return json.dumps(value, ensure_ascii=False)[:LONG]


def _is_filled(values: Any) -> bool:
    return isinstance(values, list) and bool(values) and all(map(is_number, values))


def _is_distribution(value: Any) -> bool:
    """Shares by name that are one in all."""
    return (
        isinstance(value, dict)
        and 1 < len(value) <= MOST_CLASSES
        and all(is_number(share) and 0 <= share <= 1 for share in value.values())
        and abs(sum(value.values()) - 1) < 1e-3
    )


def _is_records(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(row, dict) and row for row in value)
        and sum(_is_fact(one) for one in value[0].values()) * 2 > len(value[0])
    )


def _is_rectangle(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) > 1
        and all(isinstance(row, list) and row and len(row) == len(value[0]) for row in value)
        and all(is_number(one) for row in value for one in row)
    )


def _is_encoded(value: Any, schema: Mapping[str, Any]) -> bool:
    return isinstance(value, str) and bool(_picture(value, schema))


def _picture(value: Any, schema: Mapping[str, Any]) -> str:
    """The data: address of a picture in a text, "" where there is none."""
    if not isinstance(value, str) or len(value) < 40:
        return ""
    head, comma, _ = value.partition(",")
    if value.startswith("data:") and comma:
        media = head[5:].partition(";")[0].lower()
        return value if media in SHOWN_PICTURES and head.endswith(";base64") else ""
    try:
        start = base64.b64decode(value[:64], validate=True)
    except (binascii.Error, ValueError):
        return ""
    media = picture_type(start)
    if media not in SHOWN_PICTURES:
        return ""
    return f"data:{media};base64,{value}"
