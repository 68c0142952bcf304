"""The runs of a sweep as one matrix: state and a chosen result of each, in a fixed number of
queries however many there are.

Called by pages and API; everything here has passed `visible_to`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from calculations.models import Calculation, Quantity
from calculations.services.sweeps import Axis, axes_of
from calculations.states import RunState
from calculations.wording import column_words, point_words, software_of, value_words

CARDS = 12  # so many runs of one axis stand side by side with their words
WIDE = 14  # so many columns have room for their values
LABELLED = 120  # a longer line of runs is drawn as bare squares
HEATS = 8
EDGE = 1e-12
NO_CHOICE: dict[str, Any] = {"down_choices": [], "across_choices": []}


@dataclass(frozen=True, slots=True)
class Known:
    """A quantity that runs have found."""

    name: str
    label: str
    unit: str
    chosen: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """One run; `heat` from 1 to HEATS shades its value, 0 without one."""

    number: int
    state: str
    state_words: str
    where: str
    value: float | None
    words: str
    heat: int
    why: str

    @property
    def raw(self) -> str:
        """The value with all its digits, as programs read it."""
        return repr(self.value)

    @property
    def title(self) -> str:
        """Run 12, 0.1 a.u.: valid: 76.3; all that a small square cannot say."""
        said = ": ".join(filter(None, (self.state_words.lower(), self.words or self.why)))
        return f"Run {self.number}, {self.where}: {said}"


@dataclass(frozen=True, slots=True)
class Fixed:
    """An axis that is not drawn, and its value that is; `values` are (place, words, chosen)."""

    place: int
    label: str
    unit: str
    values: list[tuple[int, str, bool]]


@dataclass(frozen=True, slots=True)
class Matrix:
    """`rows` are (head, cells), None where there is no run; a single row for one axis.

    `look` is "cards", "line" or "squares" for one axis, "table" or "dots" for two.
    """

    look: str
    down: Axis | None
    across: Axis | None
    heads: list[str]
    rows: list[tuple[str, list[Cell | None]]]
    fixed: list[Fixed]
    down_choices: list[tuple[int, str, bool]]
    across_choices: list[tuple[int, str, bool]]
    quantities: list[Known]
    quantity: Known | None
    low: str
    high: str
    counts: list[tuple[str, str, int]]
    total: int

    @property
    def drawn(self) -> str:
        """What the places of the runs depend on; a page that has the same needs none of them."""
        of = self.quantity.name if self.quantity else ""
        fixed = [place for axis in self.fixed for place, _, chosen in axis.values if chosen]
        across = [place for place, _, chosen in self.across_choices if chosen]
        return " ".join(map(str, (self.total, self.look, of, *across, *fixed)))

    @property
    def cells(self) -> list[Cell]:
        return [cell for _, cells in self.rows for cell in cells if cell is not None]


@dataclass(frozen=True, slots=True)
class Row:
    """What is read of a run."""

    key: Any
    index: int
    state: str
    point: tuple[Any, ...]
    main: float | None
    reason: str


FIELDS = ("id", "index", "state", "point", "main_value", "reason")
STATE_WORDS = {state.value: str(state.label) for state in RunState}


def matrix_of(calculation: Calculation, asked: Mapping[str, str]) -> Matrix:
    """`asked` names the quantity (of), the axes drawn (down, across) and the values of the others
    (at0 to at3, by their places).
    """
    axes = axes_of(calculation)
    found = calculation.runs.order_by("index").values_list(*FIELDS)
    rows = [Row(k, i, s, tuple(p), m, r) for k, i, s, p, m, r in found]
    if any(len(row.point) != len(axes) for row in rows):
        axes = []  # runs that know no place are listed by their numbers
    quantities = known_quantities(calculation, asked.get("of", ""))
    quantity = next((q for q in quantities if q.chosen), None)
    values = values_of(calculation, quantity, rows)
    counts = Counter(row.state for row in rows)
    down, across = _drawn(axes, asked)
    others = [i for i in range(len(axes)) if i not in (down, across)] if len(axes) > 1 else []
    fixed = [_fixed(axes, i, asked) for i in others]
    at = {one.place: _value_at(axes, one) for one in fixed}
    shown = [r for r in rows if all(r.point[place] == value for place, value in at.items())]
    cells = {row.point or (row.index,): cell for row, cell in _cells(axes, shown, values, quantity)}
    scale = _scale(values[row.key] for row in shown if row.key in values)
    low, high = column_words(scale, quantity.unit if quantity else "") if scale else ("", "")
    common: dict[str, Any] = {
        "fixed": fixed,
        "quantities": quantities,
        "quantity": quantity,
        "low": low,
        "high": high,
        "counts": [(s.value, STATE_WORDS[s], counts[s]) for s in RunState if counts[s]],
        "total": len(rows),
    }
    if down is None or across is None:
        return _line(axes, list(cells.values()), common)
    return _table(axes, (down, across), cells, at, common)


def _drawn(axes: Sequence[Axis], asked: Mapping[str, str]) -> tuple[int | None, int | None]:
    if len(axes) < 2:
        return None, None
    places = [_place(asked.get(name), len(axes)) for name in ("down", "across")]
    down = places[0] if places[0] is not None else 0
    across = places[1] if places[1] is not None and places[1] != down else None
    return down, across if across is not None else next(i for i in range(len(axes)) if i != down)


def _place(text: str | None, count: int) -> int | None:
    return int(text) if text and text.isdecimal() and int(text[:6]) < count else None


def _fixed(axes: Sequence[Axis], place: int, asked: Mapping[str, str]) -> Fixed:
    axis = axes[place]
    order = _ordered(axis)
    chosen = _place(asked.get(f"at{place}"), len(order)) or 0
    words = [value_words(value, choices=axis.choices) for value in order]
    return Fixed(
        place, axis.label, axis.unit, [(i, word, i == chosen) for i, word in enumerate(words)]
    )


def _value_at(axes: Sequence[Axis], fixed: Fixed) -> Any:
    return next(_ordered(axes[fixed.place])[i] for i, _, chosen in fixed.values if chosen)


def _ordered(axis: Axis) -> list[Any]:
    """Numbers rise, whenever they were added; words stay in the order in which they were asked."""
    return sorted(axis.values) if axis.is_numeric else list(axis.values)


def known_quantities(calculation: Calculation, chosen: str) -> list[Known]:
    """Every number that runs have found, the chosen or the main one marked."""
    rows = (
        Quantity.objects.filter(calculation=calculation, run__isnull=False, number__isnull=False)
        .order_by("name")
        .values_list("name", "label", "unit")
        .distinct()
    )
    by_name = {name: (label, unit) for name, label, unit in rows}
    software = software_of(calculation)
    main = software.main_result if software else ""
    chosen = next((name for name in (chosen, main, *by_name) if name in by_name), "")
    found = [Known(name, *by_name[name], name == chosen) for name in by_name]
    return sorted(found, key=lambda q: (q.name != main, q.label))


def values_of(
    calculation: Calculation, quantity: Known | None, rows: Sequence[Row]
) -> dict[Any, float]:
    """The chosen quantity by run, of those that are valid."""
    if quantity is None:
        return {}
    valid = {row.key for row in rows if row.state == RunState.VALID}
    software = software_of(calculation)
    if software is not None and quantity.name == software.main_result:
        return {row.key: row.main for row in rows if row.key in valid and row.main is not None}
    found = Quantity.objects.filter(
        calculation=calculation, run__isnull=False, name=quantity.name, number__isnull=False
    )
    return {k: v for k, v in found.values_list("run_id", "number") if k in valid}


def _scale(values: Iterable[float]) -> tuple[float, float] | None:
    known = list(values)
    return (min(known), max(known)) if known else None


def _cells(
    axes: Sequence[Axis],
    rows: Sequence[Row],
    values: Mapping[Any, float],
    quantity: Known | None,
) -> list[tuple[Row, Cell]]:
    numbers = [values.get(row.key) for row in rows]
    words = column_words(numbers, quantity.unit if quantity else "")
    scale = _scale(value for value in numbers if value is not None)
    return [
        (
            row,
            Cell(
                number=row.index + 1,
                state=row.state,
                state_words=STATE_WORDS[row.state],
                where=point_words(axes, row.point) if axes else f"run {row.index + 1}",
                value=value,
                words=word if value is not None else "",
                heat=heat(value, scale),
                why=_why(row),
            ),
        )
        for row, value, word in zip(rows, numbers, words, strict=True)
    ]


def _why(row: Row) -> str:
    return row.reason if row.state not in (RunState.VALID, RunState.WAITING) else ""


def heat(value: float | None, scale: tuple[float, float] | None) -> int:
    """A step from 1 to HEATS; static/js/matrix.js does the same with what comes later."""
    if value is None or scale is None:
        return 0
    low, high = scale
    if high - low <= EDGE * max(abs(low), abs(high), 1.0):
        return 1
    return 1 + min(HEATS - 1, int((value - low) / (high - low) * HEATS))


def _line(axes: Sequence[Axis], cells: list[Cell], common: Mapping[str, Any]) -> Matrix:
    if len(axes) == 1:
        places = {word: i for i, word in enumerate(_words(axes[0]))}
        cells = sorted(cells, key=lambda cell: places.get(cell.where, len(places)))
    look = "cards" if len(cells) <= CARDS else "line" if len(cells) <= LABELLED else "squares"
    axis = axes[0] if axes else None
    return Matrix(look, None, axis, [], [("", list(cells))], **common, **NO_CHOICE)


def _words(axis: Axis) -> list[str]:
    return [point_words([axis], [value]) for value in _ordered(axis)]


def _table(
    axes: Sequence[Axis],
    drawn: tuple[int, int],
    cells: Mapping[tuple[Any, ...], Cell],
    at: Mapping[int, Any],
    common: Mapping[str, Any],
) -> Matrix:
    down, across = drawn

    def cell(row: Any, column: Any) -> Cell | None:
        chosen = {**at, down: row, across: column}
        return cells.get(tuple(chosen[i] for i in range(len(axes))))

    columns = _ordered(axes[across])
    heads = [value_words(value, choices=axes[across].choices) for value in columns]
    rows = [
        (value_words(value, choices=axes[down].choices), [cell(value, c) for c in columns])
        for value in _ordered(axes[down])
    ]
    look = "table" if len(columns) <= WIDE else "dots"
    labels = [(i, axis.label) for i, axis in enumerate(axes)]
    return Matrix(
        look,
        axes[down],
        axes[across],
        heads,
        rows,
        down_choices=[(i, label, i == down) for i, label in labels],
        across_choices=[(i, label, i == across) for i, label in labels if i != down],
        **common,
    )


def changed_cells(
    calculation: Calculation, quantity_name: str, numbers: Sequence[int] | None
) -> list[dict[str, Any]]:
    """State and value of some runs by their numbers, or of all, for a page that is open."""
    found = calculation.runs.order_by("index")
    if numbers is not None:
        found = found.filter(index__in=[number - 1 for number in numbers])
    rows = [Row(k, i, s, tuple(p), m, r) for k, i, s, p, m, r in found.values_list(*FIELDS)]
    quantities = known_quantities(calculation, quantity_name)
    quantity = next((q for q in quantities if q.chosen), None)
    values = values_of(calculation, quantity, rows)
    unit = quantity.unit if quantity else ""
    return [
        {
            "number": row.index + 1,
            "state": row.state,
            "state_words": STATE_WORDS[row.state],
            "value": values.get(row.key),
            "words": column_words([values[row.key]], unit)[0] if row.key in values else "",
            "why": _why(row),
        }
        for row in rows
    ]
