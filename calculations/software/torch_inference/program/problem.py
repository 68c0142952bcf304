"""Why a run cannot go on, with a code by which the verdict names it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Problem(Exception):
    """A failure that trying again would not mend; `evidence` are lines as they were found."""

    def __init__(self, code: str, message: str, remedy: str = "", *evidence: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.remedy = remedy
        self.evidence = evidence

    def to_json(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "message": self.message,
            "remedy": self.remedy,
            "evidence": list(self.evidence),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Problem:
        evidence = [str(line) for line in document.get("evidence", ())]
        return cls(
            str(document["code"]),
            str(document["message"]),
            str(document.get("remedy", "")),
            *evidence,
        )
