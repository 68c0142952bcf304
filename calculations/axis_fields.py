"""The part of the calculation's form that says what varies: up to four axes, and their order.

Used by forms.py. It knows shapes alone; what may vary is checked by the services.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms

from calculations.models import Structure
from calculations.software.base import Software
from calculations.software.parameters import Kind
from calculations.sweeps import axes as kinds
from calculations.sweeps.axes import FIELD, ROTATION, STRUCTURE, YES_NO, kinds_of, variable
from calculations.sweeps.reading import MAX_AXES, asked_form
from labportal.accounts.models import User

MODES = (("chain", "one after the other"), ("independent", "side by side"))
ABOUT = (("centre", "its centre"), ("mass", "its centre of mass"), ("point", "a point"))
SPACINGS = (("linear", "even steps"), ("log", "even factors"))
DIRECTIONS = (("forward", "from the first value on"), ("backward", "from the last value back"))
NOTHING = ("nothing: one run", "and nothing else")
MOST_STRUCTURES = 300
NUMBERS = ("from", "to", "points", "spacing", "values")
PARTS = (*NUMBERS, "direction", "axis", "about", "point", "atoms", "structures")
SERVICE_NAMES = {
    "sweep": "vary",
    "sweep.axes": "vary",
    "sweep.mode": "vary_mode",
    "sweep.along": "vary_along",
    "sweep.direction": "vary_order",
    "sweep.carry": "vary_carry",
}


@dataclass(frozen=True, slots=True)
class DrawnAxis:
    """One axis as bound fields by their parts; `unit` and `hint` belong to what is chosen now."""

    number: int
    choice: Any
    parts: Mapping[str, Any]

    @property
    def rows(self) -> list[tuple[str, Any]]:
        """(kind of axis, field) in the order of the page, but the numbers that all share."""
        own = {"direction": FIELD, "structures": STRUCTURE}
        return [(own.get(n, ROTATION), self.parts[n]) for n in PARTS if n not in NUMBERS]

    @property
    def has_errors(self) -> bool:
        return any(part.errors for part in self.parts.values())


class KindSelect(forms.Select):
    """Tells the page what kind each choice is, and which values an enumerated one may have."""

    def __init__(self, software: Software) -> None:
        super().__init__({"class": "form-select", "data-axis": ""})
        self.known = {p.name: p for p in variable(software)}

    def create_option(self, name: str, value: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        option = super().create_option(name, value, *args, **kwargs)
        parameter = self.known.get(str(value))
        kind = "words" if parameter and parameter.kind in (Kind.CHOICE, Kind.BOOLEAN) else "number"
        option["attrs"]["data-kind"] = str(value) if value in kinds.SPECIAL else kind
        if parameter is not None and kind == "words":
            choices = parameter.choices or tuple((str(v).lower(), w) for v, w in YES_NO)
            option["attrs"]["data-words"] = " ".join(word for word, _ in choices)
        return option


class Words(forms.MultipleChoiceField):
    """Any choices: the services say which there are."""

    def valid_value(self, value: str) -> bool:
        return True


def prefix(number: int) -> str:
    """vary, vary2, vary3, vary4."""
    return "vary" if number == 0 else f"vary{number + 1}"


def _text(**attributes: str) -> forms.TextInput:
    return forms.TextInput({"class": "form-control", "autocomplete": "off", **attributes})


def _select() -> forms.Select:
    return forms.Select({"class": "form-select"})


def fields_of(software: Software, user: User) -> dict[str, forms.Field]:
    """Every field of the section, by name."""
    found: dict[str, forms.Field] = {}
    structures = _structures(user) if kinds.has_structure(software) else []
    for number in range(MAX_AXES):
        name = prefix(number)
        found[name] = forms.ChoiceField(
            label="Vary" if number == 0 else "And",
            required=False,
            choices=[("", NOTHING[min(number, 1)]), *kinds_of(software)],
            widget=KindSelect(software),
        )
        found.update({f"{name}_{part}": f for part, f in _parts(structures).items()})
    modes = MODES if software.carry else MODES[1:]  # nothing to hand on, so no chain
    found["vary_mode"] = forms.ChoiceField(
        label="Order", required=False, choices=modes, initial=modes[0][0], widget=forms.RadioSelect
    )
    found["vary_along"] = forms.ChoiceField(
        label="Along",
        required=False,
        choices=[(str(i), f"axis {i + 1}") for i in range(MAX_AXES)],
        widget=_select(),
        help_text="Each line along this axis is a chain of its own.",
    )
    found["vary_order"] = forms.ChoiceField(
        label="Direction", required=False, choices=DIRECTIONS, widget=_select()
    )
    found["vary_carry"] = forms.CharField(
        label="Files carried on",
        required=False,
        initial=" ".join(software.carry),
        widget=_text(spellcheck="false"),
        help_text="Names or patterns of files that each run takes from the one before.",
    )
    return found


def _structures(user: User) -> list[tuple[str, str]]:
    rows = Structure.objects.visible_to(user).order_by("-id")[:MOST_STRUCTURES]
    found = rows.values_list("pk", "name", "formula")
    return [(str(pk), f"{name} · {formula} · S-{pk}") for pk, name, formula in found]


def _parts(structures: Sequence[tuple[str, str]]) -> dict[str, forms.Field]:
    def words(label: str, help_text: str = "", **attributes: str) -> forms.CharField:
        widget = _text(**attributes)
        return forms.CharField(label=label, required=False, widget=widget, help_text=help_text)

    chosen = forms.SelectMultiple({"class": "form-select", "size": "6"})
    return {
        "from": words("From", inputmode="decimal"),
        "to": words("To", inputmode="decimal"),
        "points": words("Points", inputmode="numeric"),
        "spacing": forms.ChoiceField(
            label="Steps", required=False, choices=SPACINGS, widget=_select()
        ),
        "values": words(
            "Values one by one", "Instead of from, to and points.", placeholder="0 0.05 0.2"
        ),
        "direction": words("Direction of the field", "Three numbers.", placeholder="0 0 1"),
        "axis": words("Axis of the rotation", "Three numbers.", placeholder="0 0 1"),
        "about": forms.ChoiceField(label="About", required=False, choices=ABOUT, widget=_select()),
        "point": words("The point, in Å", placeholder="0 0 0"),
        "atoms": words("Atoms that turn", "All where it is empty.", placeholder="1-3,7"),
        "structures": Words(
            label="Structures of the project",
            required=False,
            choices=structures,
            widget=chosen,
            help_text="" if structures else "There is none yet: add some under Molecules.",
        ),
    }


def drawn_axes(form: forms.Form) -> list[DrawnAxis]:
    return [
        DrawnAxis(i, form[prefix(i)], {part: form[f"{prefix(i)}_{part}"] for part in PARTS})
        for i in range(MAX_AXES)
    ]


def sweep_said(said: Mapping[str, Any]) -> dict[str, Any] | None:
    """What was entered, in the long form; None for a single run. Gaps between axes close."""
    places = [i for i in range(MAX_AXES) if said.get(prefix(i))]
    if not places:
        return None
    axes = [_axis_said(said, prefix(i)) for i in places]
    mode = said.get("vary_mode") or "independent"
    if mode != "chain":
        return {"axes": axes, "mode": mode}
    along = int(said.get("vary_along") or 0)
    return {
        "axes": axes,
        "mode": mode,
        "along": places.index(along) if along in places else 0,
        "direction": said.get("vary_order") or "forward",
        "carry": said.get("vary_carry", ""),
    }


def _axis_said(said: Mapping[str, Any], name: str) -> dict[str, Any]:
    def part(word: str) -> str:
        return said.get(f"{name}_{word}", "").strip()

    kind = said[name]
    if kind == STRUCTURE:
        return {"parameter": kind, "structures": said.get(f"{name}_structures", [])}
    found: dict[str, Any] = {"parameter": kind}
    if part("values"):
        found["values"] = part("values")
    else:
        found |= {word: part(word) for word in NUMBERS[:4]}
    if kind == FIELD:
        found["direction"] = part("direction")
    if kind == ROTATION:
        about = part("about") or "centre"
        found["axis"], found["atoms"] = part("axis"), part("atoms")
        found["about"] = (part("point") or about) if about == "point" else about
    return found


def field_of_error(said: Mapping[str, Any], name: str) -> str:
    """The form's field for a service's, such as sweep.axes.1.values."""
    if not name.startswith("sweep.axes."):
        return SERVICE_NAMES.get(name, name)
    _, _, number, part = name.split(".", 3)
    places = [i for i in range(MAX_AXES) if said.get(prefix(i))]
    own = prefix(places[int(number)])
    if part == "about" and said.get(f"{own}_about") == "point":
        part = "point"
    return own if part == "parameter" else f"{own}_{part}"


def initial_of_sweep(sweep: Mapping[str, Any] | None) -> dict[str, Any]:
    """The fields' values for a stored sweep."""
    if not sweep:
        return {}
    found: dict[str, Any] = {"vary_mode": sweep["mode"]}
    if sweep["mode"] == "chain":
        found["vary_along"] = str(sweep["along"])
        found["vary_order"] = sweep["direction"]
        found["vary_carry"] = " ".join(sweep["carry"])
    for number, stored in enumerate(sweep["axes"]):
        name = prefix(number)
        found[name] = stored["parameter"]
        found.update({f"{name}_{k}": v for k, v in _initial(stored).items()})
    return found


def _initial(stored: Mapping[str, Any]) -> dict[str, Any]:
    asked = {name: value for name, value in asked_form(stored).items() if name != "parameter"}
    if "about" in asked and not isinstance(asked["about"], str):
        asked["point"], asked["about"] = asked["about"], "point"
    if "structures" in asked:
        return {"structures": [str(key) for key in asked["structures"]]}
    return {
        name: shown(value)
        for name, value in asked.items()
        if not (name == "atoms" and value == "all")
    }


def shown(value: Any) -> str:
    """A value as a person would type it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    if isinstance(value, list | tuple):
        return " ".join(map(shown, value))
    return str(value)
