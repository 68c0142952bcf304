"""The fdf format that SIESTA reads: a reader with line numbers and a deterministic writer.

Labels compare without case and without `-`, `_`, `.`; comments begin with `#`, `!` or `;`;
`=`, `:` and `,` separate like blanks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

COMMENTS = "#!;"
QUOTES = "\"'`"
SEPARATORS = " \t=:,"
KEYWORD_WIDTH = 25


class FdfError(ValueError):
    """Text that is not fdf, or content that fdf cannot hold; `line` is 0 where there is none."""

    def __init__(self, line: int, text: str) -> None:
        self.line = line
        self.text = text
        super().__init__(f"line {line}: {text}" if line else text)


def normalise(label: str) -> str:
    """Return the form in which fdf compares labels."""
    return re.sub(r"[-_.]", "", label).lower()


@dataclass(frozen=True)
class Entry:
    """A keyword with its value, or a block with its `rows`; `include` is the file behind `<`.

    `row_lines` are the numbers of the lines on which the rows stand.
    """

    label: str
    value: str = ""
    rows: tuple[str, ...] | None = None
    include: str = ""
    line: int = 0
    row_lines: tuple[int, ...] = ()

    @property
    def key(self) -> str:
        return normalise(self.label)

    @property
    def words(self) -> list[str]:
        return split(self.value)

    @property
    def content(self) -> tuple[str, str, tuple[str, ...] | None, str]:
        """What the entry says, without where it stood."""
        rows = None if self.rows is None else tuple(row.strip() for row in self.rows)
        return self.key, self.value, rows, self.include


class Document:
    """Entries in their order; `document.get("mesh_cutoff")` finds one by its label."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._entries = tuple(entries)
        self._by_key = {entry.key: entry for entry in reversed(self._entries)}

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    def get(self, label: str) -> Entry | None:
        return self._by_key.get(normalise(label))

    @property
    def content(self) -> list[tuple[str, str, tuple[str, ...] | None, str]]:
        return [entry.content for entry in self]


def _code(line: str) -> str:
    """Return the line without its comment; quotes protect the signs that begin one."""
    quote = ""
    for position, sign in enumerate(line):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in QUOTES and sign in line[position + 1 :]:
            quote = sign
        elif sign in COMMENTS:
            return line[:position].strip()
    return line.strip()


def split(text: str) -> list[str]:
    """Split into words at blanks and separators; a quoted part is one word, without its quotes."""
    words, word, started, position = [], "", False, 0
    while position < len(text):
        sign = text[position]
        end = text.find(sign, position + 1) if sign in QUOTES else -1
        if end > 0:
            word, started, position = word + text[position + 1 : end], True, end
        elif sign in SEPARATORS:
            if started:
                words.append(word)
            word, started = "", False
        else:
            word, started = word + sign, True
        position += 1
    return [*words, word] if started else words


def _outside_quotes(code: str) -> str:
    return re.sub(r"\"[^\"]*\"|'[^']*'|`[^`]*`", "", code)


def read(text: str) -> Document:
    """Read fdf text. Raises FdfError with the number of the line."""
    entries: list[Entry] = []
    seen: dict[str, int] = {}
    block: Entry | None = None
    rows: list[str] = []
    lines: list[int] = []
    for number, raw in enumerate(re.split(r"\r\n|\n|\r", text), start=1):
        code = _code(raw)
        if not code:
            continue
        if block is not None:
            if _is_directive(code, "%endblock"):
                _close(block, code, number)
                entries.append(
                    Entry(block.label, rows=tuple(rows), line=block.line, row_lines=tuple(lines))
                )
                block = None
            elif _is_directive(code, "%block"):
                raise FdfError(
                    number,
                    f"block {block.label} of line {block.line} is still open; add %endblock",
                )
            else:
                rows.append(code)
                lines.append(number)
            continue
        entry = _entry(code, number)
        if entry.label and entry.key in seen:
            raise FdfError(
                number, f"{entry.label} stands already in line {seen[entry.key]}; keep one of them"
            )
        seen[entry.key] = number
        if entry.rows is not None and not entry.include:
            block, rows, lines = entry, [], []
        else:
            entries.append(entry)
    if block is not None:
        raise FdfError(
            block.line, f"block {block.label} is never closed; end it with %endblock {block.label}"
        )
    return Document(entries)


def _is_directive(code: str, directive: str) -> bool:
    return code.lower().split(None, 1)[0] == directive


def _close(block: Entry, code: str, number: int) -> None:
    words = code.split()
    if len(words) > 1 and normalise(words[1]) != block.key:
        raise FdfError(
            number, f"%endblock {words[1]} does not end block {block.label} of line {block.line}"
        )


def _entry(code: str, number: int) -> Entry:
    directive = code.split(None, 1)[0].lower()
    rest = code[len(directive) :].strip()
    if directive == "%include":
        if not rest:
            raise FdfError(number, "%include needs the name of a file")
        return Entry("", include=rest, line=number)
    if directive == "%endblock":
        raise FdfError(number, f"%endblock {rest}".strip() + " ends no block")
    if directive == "%block":
        return _block_head(rest, number)
    if directive.startswith("%"):
        raise FdfError(number, f"{directive} is not a directive of fdf")
    label = re.split(f"[{SEPARATORS}]", code, maxsplit=1)[0]
    value = code[len(label) :].strip(SEPARATORS)
    if not normalise(label):
        raise FdfError(number, "a keyword is missing")
    if "<" in _outside_quotes(code):
        return Entry(label, include=code.split("<", 1)[1].strip() or "?", line=number)
    return Entry(label, value, line=number)


def _block_head(rest: str, number: int) -> Entry:
    words = rest.split(None, 1)
    if not words or not normalise(words[0].partition("<")[0]):
        raise FdfError(number, "%block needs a name")
    head, sign, source = rest.partition("<")
    if sign:
        return Entry(head.strip(), rows=(), include=source.strip() or "?", line=number)
    if len(words) > 1:
        raise FdfError(number, f"after %block {words[0]} nothing may follow on the line")
    return Entry(words[0], rows=(), line=number)


def write(entries: Iterable[Entry]) -> str:
    """Write entries as text that reads back the same. Raises FdfError where it would not."""
    lines: list[str] = []
    for entry in entries:
        lines += _lines(entry)
    return "".join(f"{line}\n" for line in lines)


def _lines(entry: Entry) -> list[str]:
    lines = _plain_lines(entry)
    if any(re.search(r"[\r\n]", line) for line in lines):
        raise FdfError(0, f"{entry.label}: a value cannot hold a line break")
    try:
        back = read("\n".join(lines))
    except FdfError as error:
        raise FdfError(0, f"{entry.label}: {error.text}") from None
    if back.content != [entry.content]:
        raise FdfError(0, f"{entry.label}: the content would not be read back the same")
    return lines


def _plain_lines(entry: Entry) -> list[str]:
    if entry.rows is not None and entry.include:
        return [f"%block {entry.label} < {entry.include}"]
    if entry.rows is not None:
        return [
            f"%block {entry.label}",
            *(f" {row}" for row in entry.rows),
            f"%endblock {entry.label}",
        ]
    if entry.include:
        return [f"{entry.label} < {entry.include}" if entry.label else f"%include {entry.include}"]
    return [f"{entry.label:<{KEYWORD_WIDTH}} {entry.value}".rstrip()]


def number(value: float) -> str:
    """Return a number as fdf writes it; a whole real keeps its point: some keywords need one."""
    if isinstance(value, int):
        return str(value)
    text = f"{value:.10g}"
    return text if re.search(r"[.e]", text) else f"{text}.0"


def logical(value: bool) -> str:
    return "T" if value else "F"
