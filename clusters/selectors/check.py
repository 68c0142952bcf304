"""One line of the health card: what was looked at, what was found, what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

GOOD, WARN, BAD, UNKNOWN = "ok", "not_valid", "failed", "draft"


@dataclass(frozen=True, slots=True)
class Check:
    """`state` gives the dot's colour, `label` its word; `when` is a time that goes with `found`;
    `ask`: the dialog by which an admin mends it, `verb` its words.
    """

    name: str
    state: str
    label: str
    found: str
    remedy: str = ""
    when: datetime | None = None
    ask: str = ""
    verb: str = ""

    @property
    def is_trouble(self) -> bool:
        return self.state in (WARN, BAD)
