"""Keyset paging of a sorted list: pages cost the same wherever they lie, and stay right."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest

SIZE = 50


@dataclass(frozen=True, slots=True)
class Sort:
    """`column` is a column or an annotation that is never NULL; ties are broken by the key."""

    column: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """For components/_pager.html: the rows, and where the others are ("" where there are none)."""

    rows: list[Any]
    newer_url: str
    older_url: str
    words: str


def page_of(
    rows: QuerySet, request: HttpRequest, sorts: Mapping[str, Sort], *, default: str
) -> Page:
    """Cut the page of ?sort= and ?after= out of `rows`; what cannot be read counts as absent."""
    sort = sorts.get(request.GET.get("sort", ""), sorts[default])
    rows = rows.annotate(sort_key=F(sort.column))
    after = _read(request.GET.get("after", ""))
    if after is not None:
        rows, after = _behind(rows, sort, after)
    sign = "-" if sort.descending else ""
    found = list(rows.order_by(f"{sign}sort_key", f"{sign}pk")[: SIZE + 1])
    shown = found[:SIZE]
    return Page(
        rows=shown,
        newer_url=_address(request, "") if after else "",
        older_url=_address(request, _write(shown[-1])) if len(found) > SIZE else "",
        words=f"{len(shown)} shown",
    )


def _behind(rows: QuerySet, sort: Sort, after: list[Any]) -> tuple[QuerySet, list[Any] | None]:
    value, key = after
    beyond = "lt" if sort.descending else "gt"
    here = Q(**{f"sort_key__{beyond}": value}) | Q(sort_key=value, **{f"pk__{beyond}": key})
    try:
        return rows.filter(here), after
    except (ValidationError, ValueError, TypeError):
        return rows, None


def _write(row: Any) -> str:
    value = row.sort_key
    plain = value.isoformat() if hasattr(value, "isoformat") else value
    return base64.urlsafe_b64encode(json.dumps([plain, row.pk]).encode()).decode().rstrip("=")


def _read(token: str) -> list[Any] | None:
    try:
        found = json.loads(base64.urlsafe_b64decode(token[:600] + "=" * (-len(token) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return None
    known = isinstance(found, list) and len(found) == 2 and isinstance(found[1], int)
    return found if known and isinstance(found[0], int | float | str) else None


def _address(request: HttpRequest, after: str) -> str:
    query = request.GET.copy()
    query.pop("after", None)
    if after:
        query["after"] = after
    return f"{request.path}?{query.urlencode()}" if query else request.path
