"""Keyset paging of the tables in pages; the API has its own in common."""

from dataclasses import dataclass
from typing import Any

from django.db.models import Model, QuerySet
from django.http import HttpRequest

SIZE = 50


@dataclass(frozen=True, slots=True)
class Page:
    """What a template draws: the rows, and where the other ones are ("" where there are none)."""

    rows: list[Any]
    newer_url: str
    older_url: str
    words: str


def page_of(
    rows: QuerySet[Model], request: HttpRequest, *, field: str = "pk", descending: bool = True
) -> Page:
    """Cut a page out of `rows` by the value of a unique field after which it begins (?after=)."""
    after = request.GET.get("after", "")
    if after and (field != "pk" or after.isdecimal()):
        rows = rows.filter(**{f"{field}__{'lt' if descending else 'gt'}": after[:150]})
    else:
        after = ""
    found = list(rows.order_by(f"-{field}" if descending else field)[: SIZE + 1])
    more, found = len(found) > SIZE, found[:SIZE]
    return Page(
        rows=found,
        newer_url=_address(request, "") if after else "",
        older_url=_address(request, str(getattr(found[-1], field))) if more else "",
        words=f"{len(found)} shown",
    )


def _address(request: HttpRequest, after: str) -> str:
    query = request.GET.copy()
    query.pop("after", None)
    if after:
        query["after"] = after
    return f"{request.path}?{query.urlencode()}"
