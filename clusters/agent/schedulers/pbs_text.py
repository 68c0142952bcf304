"""Reads the texts in which PBS tells of jobs, queues and nodes: blocks of attributes, times, sizes.

Forgiving where versions differ (TAB or blanks before a continued line, newlines in values), strict
where an answer is not whole: of a block that is cut off nothing is believed.
"""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Iterator

HEAD = re.compile(r"Job Id:\s*(\S+)\s*$")
ATTRIBUTE = re.compile(r"(\s+)([A-Za-z_][\w.\-]*) = ?(.*)$")
JOB_ID = re.compile(r"(\d+)(\[\d*\])?(?:\.[\w.\-]*)?$")
ROW = re.compile(r"(\d+(?:\[\d*\])?)\S*\s+\S+\s+\S+\s+(\S+)\s")
HEADING = re.compile(r"^Job I[Dd]\s", re.MULTILINE)
STAMP = re.compile(
    r"(?:\w+\.?\s+)?([A-Z][a-z]{2})\w*\.?\s+(\d{1,2})\s+(\d+):(\d\d):(\d\d)\s+(?:[A-Z]{3,5}\s+)?(\d{4})"
)
MONTHS = {name: number for number, name in enumerate(calendar.month_abbr) if name}
SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgtp]?)([bw]?)$", re.IGNORECASE)
MIB = {"": 2**-20, "k": 2**-10, "m": 1.0, "g": 2.0**10, "t": 2.0**20, "p": 2.0**30}
WORD_BYTES = 8


def short_id(id: str) -> str:
    """Return an id without its server, which qsub, qstat and messages spell differently; "" where
    it is no id.
    """
    found = JOB_ID.match(id.strip())
    return f"{found[1]}{found[2] or ''}" if found else ""


def blocks(text: str, head: re.Pattern[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the name and the attributes of each whole block; a block ends in an empty line, or
    where the next begins.
    """
    name, attributes, last, indent = "", {}, "", ""
    for line in text.split("\n")[:-1]:
        begins = head.match(line)
        if begins or not line.strip():
            if name and attributes:
                yield name, attributes
            name, attributes, last, indent = (begins[1] if begins else ""), {}, "", ""
            continue
        if not name:
            continue
        found = ATTRIBUTE.match(line)
        if found and found[1] in (indent or found[1]):
            indent, last = found[1], found[2]
            attributes[last] = found[3].rstrip("\r")
        elif last:
            # A folded value goes on after white space; a value's own newline is followed by none.
            attributes[last] += line.strip() if line[:1].isspace() else f"\n{line}"


def jobs(text: str) -> dict[str, dict[str, str]]:
    """Return the attributes of each whole job of `qstat -f`, by its id without the server."""
    return {
        short_id(name): attributes
        for name, attributes in blocks(text, HEAD)
        if short_id(name) and attributes.get("job_state")
    }


def table(text: str) -> list[tuple[str, str]]:
    """Return (id, name) of each line of `qstat -u` (wide or not)."""
    return [(row[1], row[2]) for row in map(ROW.match, text.splitlines()) if row]


def variables(text: str) -> dict[str, str]:
    """Read a Variable_List. A comma within a value belongs to it where no NAME= follows."""
    pairs = re.split(r",(?=[A-Za-z_]\w*=)", text)
    return dict(pair.partition("=")[::2] for pair in pairs if "=" in pair)


def moment(text: str) -> float | None:
    """Read a time as PBS writes it, in the zone of the machine; seconds since 1970 as they are."""
    text = text.strip()
    if text.isdigit():
        return float(text) or None
    found = STAMP.match(text)
    if found is None or found[1] not in MONTHS:
        return None
    day, hour, minute, second, year = (int(found[n]) for n in (2, 3, 4, 5, 6))
    try:
        return time.mktime((year, MONTHS[found[1]], day, hour, minute, second, 0, 0, -1))
    except (OverflowError, ValueError):
        return None


def seconds(text: str) -> float | None:
    """Read a duration: [[HH:]MM:]SS, with days before it in some versions, or a plain number."""
    parts = text.strip().split(":")
    if not 1 <= len(parts) <= 4 or not all(re.fullmatch(r"\d+(\.\d+)?", part) for part in parts):
        return None
    total = 0.0
    for part, scale in zip(reversed(parts), (1, 60, 3600, 86_400)):
        total += float(part) * scale
    return total


def mib(text: str) -> float | None:
    """Read a size such as 1024kb, 4gb, 16mw; a bare number is bytes."""
    found = SIZE.match(text.strip())
    if found is None:
        return None
    words = WORD_BYTES if found[3].lower() == "w" else 1
    return float(found[1]) * MIB[found[2].lower()] * words


def clock(walltime_s: int) -> str:
    """Write a duration as HH:MM:SS."""
    return f"{walltime_s // 3600:02d}:{walltime_s // 60 % 60:02d}:{walltime_s % 60:02d}"
