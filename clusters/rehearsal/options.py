"""Reads command lines and script directives as the fake programs need them, forgivingly."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence


class WrongOption(Exception):
    """An argument that no program would take."""


class Options(dict[str, str]):
    """Options by their long names, and the arguments that are none."""

    def __init__(self) -> None:
        super().__init__()
        self.rest: list[str] = []

    def number(self, name: str, otherwise: int) -> int:
        try:
            return int(self.get(name, otherwise))
        except ValueError:
            raise WrongOption(f"Invalid numeric value {self[name]!r} for --{name}.") from None


def read(
    arguments: Sequence[str],
    short: Mapping[str, str],
    flags: Collection[str],
    *,
    stop_at_first: bool = False,
    long_by_one_dash: bool = False,
) -> Options:
    """Return what a command line says.

    `short` maps letters to long names; `flags` are the long names that take no value.
    """
    found, words = Options(), list(arguments)
    while words:
        word = words.pop(0)
        if word == "--":
            found.rest += words
            break
        if word.startswith("--") or (long_by_one_dash and word[1:] in flags):
            name, equals, value = word.lstrip("-").partition("=")
            if name not in flags and not equals:
                value = _value(words, name)
            found[name] = value
        elif word.startswith("-") and len(word) > 1:
            _read_letters(word[1:], words, short, flags, found)
        elif stop_at_first:
            found.rest += [word, *words]
            break
        else:
            found.rest.append(word)
    return found


def _read_letters(
    letters: str,
    words: list[str],
    short: Mapping[str, str],
    flags: Collection[str],
    found: Options,
) -> None:
    while letters:
        letter, letters = letters[0], letters[1:]
        name = short.get(letter)
        if name is None:
            raise WrongOption(f"invalid option -- '{letter}'")
        if name in flags:
            found[name] = ""
            continue
        found[name] = letters or _value(words, name)
        return


def _value(words: list[str], name: str) -> str:
    if not words:
        raise WrongOption(f"option '{name}' requires an argument")
    return words.pop(0)


def seconds(text: str) -> int:
    """Read a walltime: minutes, MM:SS, HH:MM:SS, D-HH, D-HH:MM, D-HH:MM:SS; "5s" is seconds."""
    days, dash, rest = text.rpartition("-")
    try:
        numbers = [int(part) for part in rest.split(":")]
        if dash:
            hours, minutes, left = [*numbers, 0, 0][:3]
            return int(days) * 86400 + hours * 3600 + minutes * 60 + left
        if len(numbers) == 1:
            return numbers[0] * 60
        total = 0
        for number in numbers:
            total = total * 60 + number
        return total
    except ValueError:
        raise WrongOption(f"Invalid --time specification {text!r}") from None


def mebibytes(text: str) -> int:
    """Read an amount of memory: a bare number is MiB; K, M, G, T with or without a b."""
    text = text.strip().lower()
    digits = text.rstrip("bkmgtw")
    unit = text[len(digits) :]
    try:
        value = float(digits)
    except ValueError:
        raise WrongOption(f"Invalid memory specification {text!r}") from None
    if unit == "b":
        return int(value // 1_048_576)
    scale = {"k": 1 / 1024, "m": 1, "g": 1024, "t": 1_048_576}
    return int(value * scale[unit[0]]) if unit else int(value)


def elements(text: str) -> tuple[list[int], int]:
    """Read what an array holds, such as 0-9:2,12%3: its elements, and how many run at once."""
    text, _, limit = text.partition("%")
    found: list[int] = []
    try:
        for part in text.split(","):
            numbers, _, step = part.partition(":")
            first, dash, last = numbers.partition("-")
            found += range(int(first), int(last if dash else first) + 1, int(step or 1))
        return found, int(limit or 0)
    except ValueError:
        raise WrongOption(f"Invalid job array specification {text!r}") from None


def hhmmss(value: float) -> str:
    whole = max(0, int(value))
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"
