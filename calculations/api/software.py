"""How plug-ins are described in the API: parameters as JSON Schema, analyses with what they
require.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from calculations.software.base import Software
from calculations.software.parameters import InvalidParameters, json_schema
from calculations.software.registry import UnknownSoftware, get_software, offered_software
from calculations.sweeps.axes import kinds_of
from labportal.common.errors import InvalidInput, NotFound


def find(name: str) -> Software:
    try:
        return get_software(name)
    except UnknownSoftware as error:
        raise NotFound(str(error)) from None


def describe_all() -> list[dict[str, Any]]:
    return [
        {"name": s.name, "label": s.label, "description": s.description, "version": s.version}
        for s in offered_software().values()
    ]


def describe(name: str) -> dict[str, Any]:
    software = find(name)
    return {
        "name": software.name,
        "label": software.label,
        "description": software.description,
        "version": software.version,
        "parameters": json_schema(software.parameters),
        "input_format": software.input_format,
        "pseudo_formats": list(software.pseudo_formats),
        "retried": list(software.retried),
        "sweepable": [name for name, _ in kinds_of(software)],
        "analyses": [
            {
                "name": a.name,
                "label": a.label,
                "scope": a.scope,
                "requires": list(a.requires),
                "default": a.default,
                "help": a.help,
                "version": a.version,
                "units": dict(a.units),
            }
            for a in software.analyses
        ],
        "carry": list(software.carry),
        "main_result": software.main_result,
    }


def preview(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    software = find(name)
    try:
        parameters = software.check(values)
    except InvalidParameters as error:
        raise InvalidInput(errors=error.errors) from None
    return {
        "files": software.prepare(parameters),
        "needed_files": list(software.needed_files(parameters)),
    }
