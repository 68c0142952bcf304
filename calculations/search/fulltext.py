"""What holds a word: conditions that the full text index answers."""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.contrib.postgres.search import SearchQuery
from django.db.models import BooleanField, F, Func, Model, Q, QuerySet

from calculations.models.words import MARKS

TO_SPACES = str.maketrans(MARKS, " " * len(MARKS))
NEWEST, COMMON = 2000, 40  # of so many newest rows, so many hold what is common


class Among(Func):
    """Whether a key is among those of a subquery, which runs once, by its own index."""

    template = "(%(expressions)s))"
    arg_joiner = " = ANY("
    output_field = BooleanField()


def among(column: str, rows: QuerySet[Any]) -> Q:
    return Q(Among(F(column), ArraySubquery(rows.order_by().values("pk"))))


def is_common(held: Q, model: type[Model]) -> bool:
    """Whether a list, newest first, fills soon where each row is asked whether it holds.

    If not, that would meet every row, and the index is the way.
    """
    newest = model.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    among_newest = model.objects.filter(held, pk__gt=newest - NEWEST).order_by()
    return len(among_newest.values("pk")[:COMMON]) == COMMON


def holding(at: str, value: str) -> Q:
    """The name or the description at `at` holds the beginning of the word, or as a whole what
    stands in quotation marks.
    """
    whole = value.startswith('"')
    parts = value.translate(TO_SPACES).split()
    if not parts:
        return Q(pk=None)
    asked = " <-> ".join(f"'{part}'" for part in parts) + ("" if whole else ":*")
    return Q(**{f"{at}words": SearchQuery(asked, search_type="raw", config="simple")})
