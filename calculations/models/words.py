"""Words of names and descriptions, kept beside them for PostgreSQL's full text index.

The database's function `search_words` (a migration) makes them. It knows no language, for names
are in none, and marks separate words: water_5.fdf is found by water, by 5 and by fdf. They are
stored, for making them anew for each row that a search meets costs more than all the rest.
"""

from __future__ import annotations

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db.models import F, Func, GeneratedField

MARKS = "._-/,;:+*=()[]{}<>|'\"\\&!?#@%^~$°·–—−…“”„"


class Words(Func):
    """The words of two texts."""

    function = "search_words"
    output_field = SearchVectorField()


def words_field() -> GeneratedField:
    return GeneratedField(
        expression=Words(F("name"), F("description")),
        output_field=SearchVectorField(),
        db_persist=True,
    )


def word_index(name: str) -> GinIndex:
    return GinIndex(fields=["words"], name=name)
