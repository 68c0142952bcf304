"""How results and parameters are written in reports: digits that mean something, units, spans.

Used by charts and reports. Numbers of one column share their decimals, so that they can be compared
at a glance; none has more digits than the value itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from calculations.models import Calculation, Run
from calculations.software.analysis import is_number
from calculations.software.base import Resources, Software
from calculations.software.parameters import Parameter
from calculations.software.registry import UnknownSoftware, get_software
from calculations.states import CalculationState
from calculations.sweeps.axes import Axis
from labportal.common.templatetags.labportal import (
    MINUS,
    NOTHING,
    SUPERSCRIPT,
    THIN_SPACE,
    TIMES_TEN,
    duration,
    number,
)

DIGITS = 7
DIGITS_OF_SPREAD = 5
MOST_DIGITS = 12
LARGE, SMALL = 1e7, 1e-4
# Total energies are large, and what matters of them is small: a tenth of a kJ/mol is 4e-5 Ha.
LEAST_DECIMALS = {"Ha": 6, "eV": 5}
# What is computed beyond these is the noise of the grid and of self-consistency.
MOST_DECIMALS = {"Ha": 8, "eV": 6, "Debye": 4}
SCIENTIFIC_DIGITS = 5
FEW_VALUES = 3


def _names(values: Sequence[str]) -> str:
    return ", ".join(values)


def _yes(value: bool) -> str:
    return "yes" if value else ""


#: What a run asks of its machine: label, column, how it is written, unit.
RESOURCES: tuple[tuple[str, str, Callable[[Any], str], str], ...] = (
    ("Cores", "cores", str, ""),
    ("Memory", "memory_mib", number, "MiB"),
    ("Time limit", "walltime_s", duration, ""),
    ("Nodes", "nodes", str, ""),
    ("Tasks", "tasks", str, ""),
    ("GPUs", "gpus", str, ""),
    ("Kind of GPU", "gpu_type", str, ""),
    ("Partition", "partition", str, ""),
    ("Account", "account", str, ""),
    ("Quality of service", "qos", str, ""),
    ("Licences", "licences", _names, ""),
    ("Nodes alone", "exclusive", _yes, ""),
)
USUAL = Resources()


def further_resources(source: Any) -> list[tuple[str, str]]:
    """What is asked for beyond cores, memory and time, where it is not the usual."""
    return [
        (label, write(value))
        for label, name, write, _ in RESOURCES[3:]
        if (value := getattr(source, name)) and value != getattr(USUAL, name)
    ]


def software_of(calculation: Calculation) -> Software | None:
    """The plug-in; None where it is no longer installed."""
    try:
        return get_software(calculation.software)
    except UnknownSoftware:
        return None


def axis_words(axis: Axis, value: Any) -> str:
    """One value of what varies, with its unit."""
    words = value_words(value, choices=axis.choices)
    return f"{words}{_before_unit(axis)}{axis.unit}".rstrip()


def point_words(axes: Sequence[Axis], point: Sequence[Any]) -> str:
    """What makes a run different: 0.1 V/Å, 30 °; "" for a single run."""
    return ", ".join(axis_words(axis, value) for axis, value in zip(axes, point, strict=False))


def span_words(axis: Axis, most: int = FEW_VALUES) -> str:
    """Electric field, y 0 … 0.4 V/Å: what varies, from where to where."""
    words = [value_words(value, choices=axis.choices) for value in axis.values]
    span = ", ".join(words) if len(words) <= most else f"{words[0]} … {words[-1]}"
    note = f" {axis.note}" if axis.note else ""
    return f"{axis.label}{note} {span}{_before_unit(axis)}{axis.unit}".rstrip()


def _before_unit(axis: Axis) -> str:
    return "" if axis.unit == "°" else " "


def value_words(value: Any, unit: str = "", *, choices: Sequence[tuple[str, str]] = ()) -> str:
    """A parameter as a person would type it, with its unit."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        words = " ".join(value_words(part) for part in value)
    elif isinstance(value, float):
        words = _as_typed(value)
    elif isinstance(value, int):
        words = str(value).replace("-", MINUS)
    else:
        words = dict(choices).get(value, str(value))
    return f"{words} {unit}".rstrip()


def _as_typed(value: float) -> str:
    mantissa, e, power = repr(value).partition("e")
    words = mantissa.removesuffix(".0").replace("-", MINUS)
    return f"{words}{TIMES_TEN}{str(int(power)).translate(SUPERSCRIPT)}" if e else words


def change_words(
    calculation: Calculation, before: Mapping[str, Any], after: Mapping[str, Any]
) -> str:
    """Mixing weight 0.3 → 0.1, most SCF iterations 300 → 600; long texts by their names alone."""
    software = software_of(calculation)
    known = {p.name: p for p in software.parameters} if software else {}
    return ", ".join(
        _change(known[name], before.get(name), value)
        for name, value in after.items()
        if name in known
    )


def _change(parameter: Parameter, before: Any, after: Any) -> str:
    label = parameter.label[:1].lower() + parameter.label[1:]
    if parameter.label[:2].isupper():  # an abbreviation keeps its capitals
        label = parameter.label
    if parameter.lines > 1:
        return f"{label} from the end of that attempt"
    words = value_words(after, parameter.unit, choices=parameter.choices)
    if before is None:
        return f"{label} {words}"
    return f"{label} {value_words(before, choices=parameter.choices)} → {words}"


ORDINALS = ("first", "second", "third")


def tries_words(calculation: Calculation, run: Run) -> str:
    """Second try: mixing weight 0.3 → 0.1; empty where nothing was changed."""
    words = change_words(calculation, {**calculation.parameters, **run.parameters}, run.changes)
    if not words:
        return ""
    number = min(run.automatic_retries, len(ORDINALS) - 1)
    return f"{ORDINALS[number]} try: {words}" if number else f"changed: {words}"


def column_words(values: Sequence[Any], unit: str = "") -> list[str]:
    """Write the values of one column of results."""
    numbers = [float(value) for value in values if is_number(value)]
    most = MOST_DECIMALS.get(unit, MOST_DIGITS)
    write = _writer(numbers, LEAST_DECIMALS.get(unit, 0), most)
    return [_other(value) if not is_number(value) else write(float(value)) for value in values]


def result_words(value: Any, unit: str = "") -> str:
    """Write one value of a result."""
    return column_words([value], unit)[0]


def with_error(value: float, error: float) -> tuple[str, str]:
    """Write a value with as many decimals as its standard error has two digits of."""
    if not error > 0 or not math.isfinite(error) or not math.isfinite(value):
        return result_words(value), result_words(error)
    decimals = 1 - math.floor(math.log10(error))
    if decimals < 0 or decimals > MOST_DIGITS or abs(value) >= LARGE:
        return result_words(value), number(error, 2)
    return _fixed(value, decimals), _fixed(error, decimals)


def main_words(calculation: Calculation) -> str:
    """The main result of a valid one, without its unit, with its standard error where known."""
    value, error = calculation.main_value, calculation.main_error
    if value is None or calculation.state != CalculationState.VALID:
        return ""
    if error is None:
        return result_words(value, calculation.main_unit)
    return " ± ".join(with_error(value, error))


def _writer(numbers: Sequence[float], least_decimals: int, most_decimals: int) -> Any:
    """Choose one way of writing for all numbers of a column."""
    largest = max((abs(value) for value in numbers), default=0.0)
    if all(value == int(value) for value in numbers) and largest < LARGE:
        return lambda value: _fixed(value, 0)
    smallest = min((abs(value) for value in numbers if value), default=0.0)
    if largest >= LARGE or largest < SMALL or smallest < largest * 1e-6:
        return lambda value: number(value, SCIENTIFIC_DIGITS)
    places = math.floor(math.log10(largest))
    decimals = max(DIGITS - 1 - places, least_decimals)
    spread = max(numbers) - min(numbers)
    if spread > 0:
        wanted = DIGITS_OF_SPREAD - 1 - math.floor(math.log10(spread))
        decimals = min(max(decimals, wanted), MOST_DIGITS - 1 - places)
    if len(numbers) == 1 and 0.99 < numbers[0] < 1:  # a coefficient of determination
        decimals = min(1 - math.floor(math.log10(1 - numbers[0])), MOST_DIGITS)
    decimals = min(max(decimals, 0), most_decimals, max(_own_decimals(value) for value in numbers))
    return lambda value: _fixed(value, decimals)


def _own_decimals(value: float) -> int:
    mantissa, _, power = repr(value).partition("e")
    return max(0, len(mantissa.partition(".")[2].rstrip("0")) - int(power or 0))


def _fixed(value: float, decimals: int) -> str:
    whole, dot, rest = f"{abs(value):.{decimals}f}".partition(".")
    if len(whole) > 4:
        whole = f"{int(whole):,}".replace(",", THIN_SPACE)
    sign = MINUS if value < 0 and float(f"{value:.{decimals}f}") else ""
    return f"{sign}{whole}{dot}{rest}"


def _other(value: Any) -> str:
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
