"""How exported files are called, and the one place where a person's words become part of a name."""

from __future__ import annotations

from calculations.models import Calculation
from labportal.common.errors import InvalidInput

MOST = 80  # characters of a name
DEVICES = ("com", "lpt")
RESERVED = frozenset(
    {"con", "prn", "aux", "nul", *(f"{device}{n}" for device in DEVICES for n in range(1, 10))}
)


def file_name(calculation: Calculation, rest: str) -> str:
    return f"{calculation.number}-{rest}"


def safe(name: str) -> str:
    """A name that every file system, every zip and every header bears: no path, no dots ahead."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in name)
    plain = plain.lstrip(".")[:MOST].rstrip(".") or "_"
    return f"_{plain}" if plain.split(".")[0].lower() in RESERVED else plain


def run_index(said: str) -> int | None:
    """Read the number of a run, from 1, as pages say it. Raises InvalidInput."""
    if not said:
        return None
    if not (said.isascii() and said.isdecimal()) or not 0 < int(said[:9]) < 10**7:
        raise InvalidInput("must be the number of a run, from 1", field="run")
    return int(said[:9]) - 1


class Names:
    """Gives each file of an archive a name of its own, whatever people called it."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def unique(self, folder: str, name: str) -> str:
        """Return folder/name, numbered where another has it (capitals do not tell names apart)."""
        plain = safe(name)
        stem, dot, ending = plain.rpartition(".")
        tried, number = f"{folder}{plain}", 2
        while tried.lower() in self._taken:
            tried = f"{folder}{stem or ending}-{number}{f'{dot}{ending}' if stem else ''}"
            number += 1
        self._taken.add(tried.lower())
        return tried
