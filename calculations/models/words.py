"""Words of names and descriptions in PostgreSQL's full text index.

The database's function `search_words` (a migration) makes them, for the index and for the search.
It knows no language, for names are in none, and marks separate words: water_5.fdf is found by
water, by 5 and by fdf.
"""

from __future__ import annotations

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db.models import F, Func

MARKS = "._-/,;:+*=()[]{}<>|'\"\\&!?#@%^~$°·–—−…“”„"


class Words(Func):
    """The words of two texts."""

    function = "search_words"
    output_field = SearchVectorField()


def word_index(name: str) -> GinIndex:
    return GinIndex(Words(F("name"), F("description")), name=name)
