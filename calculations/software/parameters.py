"""What a scientist may set: typed parameters with units and bounds, and the one check that forms
and API share.

Standard library only and Python 3.9, since the agent carries this file to login nodes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any


class Kind(str, Enum):
    INTEGER = "integer"
    NUMBER = "number"
    CHOICE = "choice"
    BOOLEAN = "boolean"
    TEXT = "text"  # one line, or several where `lines` is above 1
    VECTOR = "vector"  # three numbers


class InvalidParameters(ValueError):
    """Parameters that cannot be used; `errors` maps the parameter's name to a sentence with the
    remedy.
    """

    def __init__(self, errors: Mapping[str, str]) -> None:
        self.errors = dict(errors)
        super().__init__("; ".join(f"{name}: {text}" for name, text in self.errors.items()))


@dataclass(frozen=True)
class Parameter:
    """One input of a program as the scientist sees it; `keyword` is the program's own word."""

    name: str
    label: str
    kind: Kind
    default: Any = None
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[tuple[str, str], ...] = ()
    help: str = ""
    keyword: str = ""
    group: str = ""
    advanced: bool = False
    required: bool = True
    sweepable: bool = False
    lines: int = 1
    max_length: int = 200_000

    def check(self, value: Any) -> Any:
        """Return `value` in its proper type. Raises ValueError with a sentence that names the
        remedy.
        """
        if value is None or value == "":
            if self.required and self.default in (None, ""):
                raise ValueError("is needed; enter a value")
            return self.default
        return _CHECKS[self.kind](self, value)

    def _within(self, number: float) -> None:
        unit = f" {self.unit}" if self.unit else ""
        if self.minimum is not None and number < self.minimum:
            raise ValueError(
                f"{number:g}{unit} is below the least allowed value, {self.minimum:g}{unit}"
            )
        if self.maximum is not None and number > self.maximum:
            raise ValueError(
                f"{number:g}{unit} is above the largest allowed value, {self.maximum:g}{unit}"
            )

    def json_schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = {"title": self.label, "description": self.help}
        if self.kind is Kind.CHOICE:
            schema.update(type="string", enum=[value for value, _ in self.choices])
        elif self.kind is Kind.VECTOR:
            schema.update(type="array", items={"type": "number"}, minItems=3, maxItems=3)
        else:
            schema["type"] = "string" if self.kind is Kind.TEXT else self.kind.value
        if self.minimum is not None:
            schema["minimum"] = self.minimum
        if self.maximum is not None:
            schema["maximum"] = self.maximum
        if self.kind is Kind.TEXT:
            schema["maxLength"] = self.max_length
        if self.default is not None:
            schema["default"] = self.default
        if self.unit:
            schema["x-unit"] = self.unit
        return schema


def _number(parameter: Parameter, value: Any) -> float:
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{value!r:.60} is not a number") from None
    if not math.isfinite(number):
        raise ValueError("must be a finite number")
    parameter._within(number)
    return number


def _integer(parameter: Parameter, value: Any) -> int:
    number = _number(parameter, value)
    if number != int(number):
        raise ValueError(f"{number:g} is not a whole number")
    return int(number)


def _choice(parameter: Parameter, value: Any) -> str:
    allowed = [name for name, _ in parameter.choices]
    if str(value) not in allowed:
        raise ValueError(f"{str(value)[:60]!r} is not one of {', '.join(allowed)}")
    return str(value)


def _boolean(_: Parameter, value: Any) -> bool:
    words = {"true": True, "on": True, "1": True, "false": False, "off": False, "0": False}
    if isinstance(value, bool):
        return value
    try:
        return words[str(value).lower()]
    except KeyError:
        raise ValueError(f"{str(value)[:60]!r} is neither true nor false") from None


def _text(parameter: Parameter, value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("must be text")
    text = value.replace("\r\n", "\n")
    if "\0" in text:
        raise ValueError("holds a NUL character; remove it")
    if len(text) > parameter.max_length:
        raise ValueError(
            f"is {len(text)} characters long; at most {parameter.max_length} are allowed"
        )
    if parameter.lines == 1 and "\n" in text.strip():
        raise ValueError("must be one line")
    return text if parameter.lines > 1 else text.strip()


def _vector(parameter: Parameter, value: Any) -> list[float]:
    if isinstance(value, str):
        value = value.replace(",", " ").split()
    if not isinstance(value, Sequence) or len(value) != 3:
        raise ValueError("must be three numbers, such as 0 0 1")
    return [_number(parameter, part) for part in value]


_CHECKS = {
    Kind.INTEGER: _integer,
    Kind.NUMBER: _number,
    Kind.CHOICE: _choice,
    Kind.BOOLEAN: _boolean,
    Kind.TEXT: _text,
    Kind.VECTOR: _vector,
}


def check_parameters(parameters: Sequence[Parameter], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return every parameter's value, defaults filled in. Raises InvalidParameters with all errors
    at once.
    """
    known = {parameter.name: parameter for parameter in parameters}
    errors = {
        str(name)[:60]: f"is not a parameter here; known are {', '.join(known)}"
        for name in values
        if name not in known
    }
    cleaned: dict[str, Any] = {}
    for name, parameter in known.items():
        try:
            cleaned[name] = parameter.check(values.get(name))
        except ValueError as error:
            errors[name] = str(error)
    if errors:
        raise InvalidParameters(errors)
    return cleaned


def json_schema(parameters: Sequence[Parameter]) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a program's parameters, as the API publishes it."""
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {parameter.name: parameter.json_schema() for parameter in parameters},
        "required": [p.name for p in parameters if p.required and p.default in (None, "")],
    }
