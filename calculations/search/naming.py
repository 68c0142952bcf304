"""Names by which people call software and substances."""

from __future__ import annotations

from functools import lru_cache

from calculations.search.words import SUBSTANCES, WORDS_TOO
from calculations.software.registry import all_software
from calculations.structures.library import composition

OTHER_NAMES = {"qe": "espresso", "pw.x": "espresso", "pw": "espresso", "pwscf": "espresso"}


@lru_cache(maxsize=1)
def software_names() -> dict[str, str]:
    """Names and labels in small letters -> the plug-in's name."""
    known = all_software()
    names = {software.label.lower(): name for name, software in known.items()}
    names |= {alias: name for alias, name in OTHER_NAMES.items() if name in known}
    return names | {name: name for name in known}


def software_label(name: str) -> str:
    known = all_software().get(name)
    return known.label if known else name


def substance_of(word: str) -> str:
    """The formula that a bare word means beside itself, "" where it is only a word."""
    known = SUBSTANCES.get(word.lower())
    if known:
        return known
    counts = composition(word) if len(word) < 60 else None
    if counts is None or word in WORDS_TOO:
        return ""
    looks = any(c.isdigit() for c in word) or len(counts) > 1 or len(word) == 2
    return word if looks else ""
