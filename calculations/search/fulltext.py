"""What holds a word: conditions that the full text index answers."""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.contrib.postgres.search import SearchQuery
from django.db.models import BooleanField, F, Func, Q, QuerySet

from calculations.models.words import MARKS, Words

TO_SPACES = str.maketrans(MARKS, " " * len(MARKS))


class Holds(Func):
    """Whether words hold what is asked."""

    template = "(%(expressions)s)"
    arg_joiner = " @@ "
    output_field = BooleanField()


class Among(Func):
    """Whether a key is among those of a subquery, which runs once, by its own index.

    As a plain condition it would be met row by row, newest first, until a page is full: for a rare
    word that is every row.
    """

    template = "(%(expressions)s))"
    arg_joiner = " = ANY("
    output_field = BooleanField()


def among(column: str, rows: QuerySet[Any]) -> Q:
    return Q(Among(F(column), ArraySubquery(rows.order_by().values("pk"))))


def holding(at: str, value: str) -> Q:
    """The name or the description at `at` holds the beginning of the word, or as a whole what
    stands in quotation marks.
    """
    whole = value.startswith('"')
    parts = value.translate(TO_SPACES).split()
    if not parts:
        return Q(pk=None)
    asked = " <-> ".join(f"'{part}'" for part in parts) + ("" if whole else ":*")
    query = SearchQuery(asked, search_type="raw", config="simple")
    return Q(Holds(Words(F(f"{at}name"), F(f"{at}description")), query))
