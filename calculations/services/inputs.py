"""A whole input file of a program as a scientist has it: read into the parameters of the form."""

from __future__ import annotations

from calculations.software.base import InputRead, Software
from calculations.software.parameters import InvalidParameters
from calculations.software.structure import StructureError
from calculations.structures import reading
from labportal.common.errors import InvalidInput


def read(software: Software, text: str) -> InputRead:
    """Return checked parameters, and notes on what was taken for given.

    Raises InvalidInput for the field `input`, with the lines at fault.
    """
    if not software.input_format:
        raise InvalidInput(
            f"{software.label} has no input file that is read; fill in the form", field="input"
        )
    try:
        found = software.read_input(text)
        atoms = reading.read(text, format=software.input_format)
        checked = software.check(
            {**found.parameters, **software.structure_parameters(atoms.structure)}
        )
    except InvalidParameters as error:
        labels = {p.name: p.label for p in software.parameters}
        words = [f"{labels.get(name, name)} {text}" for name, text in error.errors.items()]
        raise InvalidInput("; ".join(words), field="input") from None
    except (StructureError, ValueError) as error:
        raise InvalidInput(str(error), field="input") from None
    return InputRead(checked, (*found.notes, *atoms.notes))
