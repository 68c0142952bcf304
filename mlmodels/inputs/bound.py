"""The form with what stands in it, as templates draw it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mlmodels.inputs.fields import FILES, Field, Group, Kind
from mlmodels.inputs.filling import EXAMPLE, Shown

LONG = 60  # characters of a list that stands in one line
ROWS = {Kind.NUMBERS: 2, Kind.JSON: 5, Kind.LONG_TEXT: 4}


@dataclass(frozen=True, slots=True)
class Option:
    value: str
    label: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class BoundField:
    """`id` of its element; `control` names the kind of element that is drawn."""

    field: Field
    value: Shown
    id: str
    error: str = ""

    is_group = False

    @property
    def options(self) -> list[Option]:
        chosen = self.value if isinstance(self.value, list) else [self.value]
        return [
            Option(str(place), words, str(place) in chosen)
            for place, (_, words) in enumerate(self.field.choices)
        ]

    @property
    def control(self) -> str:
        kind = self.field.kind
        if kind in (Kind.NUMBER, Kind.INTEGER):
            return "number"
        if kind in (Kind.TEXT, Kind.SWITCH, Kind.CHOICE, Kind.CHOICES):
            return kind.value
        return "file" if kind in FILES else "area"

    @property
    def keeps_example(self) -> bool:
        return self.value == EXAMPLE and self.field.kind in FILES

    @property
    def rows(self) -> int:
        """Lines of its text area."""
        lines = str(self.value).count("\n") + 1 + len(str(self.value)) // (2 * LONG)
        return max(ROWS.get(self.field.kind, 3), min(lines, 10))

    @property
    def step(self) -> str:
        """Browsers count from the least value, schemas from zero: only whole numbers agree."""
        low = self.field.low
        return "1" if self.field.whole and (low is None or float(low).is_integer()) else "any"

    @property
    def pattern(self) -> str:
        """Browsers hold the whole text against it, schemas a part."""
        return f".*(?:{self.field.pattern}).*" if self.field.pattern else ""

    @property
    def how(self) -> str:
        """What may be entered, where the kind of field alone does not tell."""
        match self.field.kind:
            case Kind.NUMBERS:
                return "Numbers with commas or spaces between them, or a file: CSV, JSON, .npy."
            case Kind.TABLE:
                return "A row of numbers on each line, or a file: CSV, JSON, .npy."
            case Kind.RECORDS:
                names = ", ".join(column.name for column in self.field.columns)
                return f"CSV with a first line of names ({names}), or JSON."
            case Kind.ARRAY:
                return "Nested lists as JSON, or a file: JSON, .npy."
            case Kind.LINES:
                return "One on each line."
            case Kind.JSON:
                return "As JSON."
        return ""


@dataclass(frozen=True, slots=True)
class BoundGroup:
    label: str
    help: str
    required: bool
    parts: tuple[BoundField | BoundGroup, ...]

    is_group = True

    @property
    def is_given(self) -> bool:
        return any(
            part.is_given if isinstance(part, BoundGroup) else part.value not in ("", [])
            for part in self.parts
        )


def bound(
    group: Group, values: Mapping[str, Shown], errors: Mapping[str, str] | None = None
) -> BoundGroup:
    """`values` by the fields' names, `errors` by their pointers."""
    return _Binder(values, errors or {}).group(group)


class _Binder:
    def __init__(self, values: Mapping[str, Shown], errors: Mapping[str, str]) -> None:
        self._values, self._errors, self._count = values, errors, 0

    def group(self, group: Group) -> BoundGroup:
        parts = tuple(
            self.group(part) if isinstance(part, Group) else self._field(part)
            for part in group.parts
        )
        return BoundGroup(group.label, group.help, group.required, parts)

    def _field(self, one: Field) -> BoundField:
        self._count += 1
        value = self._values.get(one.name, "")
        return BoundField(one, value, f"in-{self._count}", self._errors.get(one.pointer, ""))
