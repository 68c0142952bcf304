"""What the search offers while one types: conditions that go on, and calculations by name."""

from __future__ import annotations

from calculations.findings.catalogue import catalogue
from calculations.models import Calculation
from calculations.search.fulltext import holding
from calculations.search.naming import software_names
from calculations.search.words import STANDINGS, STATES
from labportal.accounts.models import User

MOST, MOST_NAMES, LEAST = 8, 4, 2
FIELDS = (
    *("state:", "software:", "person:", "project:", "cluster:", "formula:", "element:"),
    *("tag:", "standing:", "finished>", "created>", "runs>", "atoms<", "has:"),
)


def suggestions(text: str, user: User) -> list[str]:
    """Return whole searches that begin with what was typed."""
    text = text.replace("\0", "")[:300]
    head, _, word = text.rpartition(" ")
    begun = word.lower().lstrip("-")
    if not begun:
        return []
    sign = "-" if word.startswith("-") else ""
    found = [w for w in _words(begun, user) if w.lower().startswith(begun) and w != begun]
    offered = [f"{head} {sign}{one}".strip() for one in found[:MOST]]
    return (offered + _names(text, user))[:MOST]


def _words(begun: str, user: User) -> list[str]:
    field, colon, _ = begun.partition(":")
    if colon:
        values = {
            "state": list(STATES),
            "software": sorted(set(software_names().values())),
            "standing": [name for name in STANDINGS if name != "none"],
            "person": ["me"],
            "has": [kind.name for kind in catalogue(user).values()],
        }
        return [f"{field}:{value}" for value in values.get(field, ())]
    kinds = [f"{kind.name}>" for kind in catalogue(user).values() if kind.numeric]
    software = sorted(set(software_names().values()))
    return [*FIELDS, *STATES, *software, "validated", "checked", "trusted", *kinds]


def _names(text: str, user: User) -> list[str]:
    if len(text.strip()) < LEAST or any(c in text for c in ':<>="'):
        return []
    rows = Calculation.objects.visible_to(user)
    for word in text.split()[:6]:
        rows = rows.filter(holding("", word))
    names = rows.order_by("-pk").values_list("name", flat=True)[: 4 * MOST_NAMES]
    return [f'"{name}"' for name in dict.fromkeys(names) if '"' not in name][:MOST_NAMES]
