"""What shall be calculated: from a file (TOML or JSON), and from options as --set and --sweep."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from labportal.client.errors import Invalid

# Of a structure's file: which format the portal reads it as follows from the name.
SUFFIXES = (".xyz", ".extxyz", ".cif", ".pdb", ".fdf", ".xsf", ".xv", ".poscar", ".vasp")


def read(path: Path) -> dict[str, Any]:
    """Read a file that describes a calculation. Paths in it are relative to its folder."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise Invalid(f"{path} is no text in UTF-8.") from None
    try:
        found = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except ValueError as error:
        raise Invalid(f"{path} is broken: {error}.") from None
    if not isinstance(found, dict):
        raise Invalid(f"{path} must hold one table of settings.")
    for name in ("files", "structure"):
        if isinstance(found.get(name), str):
            found[name] = _beside(path, found[name])
        elif isinstance(found.get(name), list):
            found[name] = [_beside(path, each) for each in found[name]]
    return found


def _beside(path: Path, name: Any) -> Any:
    return str(path.parent / name) if isinstance(name, str) and looks_like_file(name) else name


def looks_like_file(text: str) -> bool:
    return "\n" not in text and (
        Path(text).suffix.lower() in SUFFIXES or "/" in text or "." in text
    )


Shapes = Mapping[str, Mapping[str, Any]]  # JSON Schema of each parameter


def settings(pairs: Iterable[str], shapes: Shapes) -> dict[str, Any]:
    """Read name=value as the parameter's kind wants it; name=@file takes the text of a file."""
    found = {}
    for pair in pairs:
        name, sign, text = pair.partition("=")
        if not sign or not name.strip():
            raise Invalid(f"--set {pair}: expected NAME=VALUE, such as mixing_weight=0.1")
        found[name.strip()] = value(text, shapes.get(name.strip(), {}))
    return found


def value(text: str, shape: Mapping[str, Any]) -> Any:
    """A text where the parameter is one, else what it is in JSON; the portal has the last word."""
    if text.startswith("@"):
        try:
            return Path(text[1:]).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            raise Invalid(f"{text[1:]} cannot be read as text.") from None
    kinds = shape.get("type")
    if "string" in (kinds if isinstance(kinds, list) else [kinds]):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def sweep(
    axes: Iterable[str],
    shapes: Shapes,
    *,
    chain: bool,
    along: str = "",
    carry: Iterable[str] = (),
) -> Any:
    """Read name=from:to:points or name=a,b,c of each axis; None where nothing is swept."""
    found = [axis(text, shapes) for text in axes]
    if not found:
        if chain:
            raise Invalid("--chain needs a --sweep.")
        return None
    document: dict[str, Any] = {"axes": found, "mode": "chain" if chain else "independent"}
    if along:
        names = [each["parameter"] for each in found]
        if along not in names:
            raise Invalid(f"--along {along}: the axes are {', '.join(names)}.")
        document["along"] = names.index(along)
    if patterns := list(carry):
        document["carry"] = patterns
    return document


def axis(text: str, shapes: Shapes) -> dict[str, Any]:
    name, sign, rest = text.partition("=")
    if not sign or not name.strip() or not rest.strip():
        raise Invalid(
            f"--sweep {text}: expected NAME=FROM:TO:POINTS or NAME=A,B,C, such as field_y=0:0.4:5"
        )
    parts = rest.split(":")
    if len(parts) == 3:
        try:
            first, last, points = float(parts[0]), float(parts[1]), int(parts[2])
        except ValueError:
            raise Invalid(
                f"--sweep {text}: from and to are numbers, points is a whole one."
            ) from None
        return {"parameter": name.strip(), "from": first, "to": last, "points": points}
    shape = shapes.get(name.strip(), {})
    values = [value(each.strip(), shape) for each in rest.split(",")]
    return {"parameter": name.strip(), "values": values}
