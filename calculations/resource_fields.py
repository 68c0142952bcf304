"""The form's fields for what a run asks of the machine beyond cores, memory and time.

Shapes alone, as in forms.py; services/asking.py says what is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms

from calculations.services.asking import WORDS

ALL = ("nodes", "tasks", "gpus", "gpu_type", "partition", "account", "qos", "licences", "exclusive")
#: Those that stand beside cores, memory and time; the rest is folded away.
USUAL = ("gpus", "partition")


def _number(label: str, initial: int, help_text: str) -> forms.IntegerField:
    widget = _text(inputmode="numeric")
    return forms.IntegerField(
        label=label, initial=initial, required=False, widget=widget, help_text=help_text
    )


def _word(label: str, name: str, help_text: str = "") -> forms.CharField:
    """One of the names that the site knows; they are offered, others may be typed."""
    widget = _text(list=f"site-{name}", spellcheck="false", maxlength=str(WORDS[name]))
    return forms.CharField(label=label, required=False, widget=widget, help_text=help_text)


def _text(**attributes: str) -> forms.TextInput:
    return forms.TextInput({"class": "form-control", "autocomplete": "off", **attributes})


def resource_fields() -> dict[str, forms.Field]:
    return {
        "gpus": _number("GPUs", 0, ""),
        "partition": _word("Partition", "partition"),
        "nodes": _number("Nodes", 1, "Cores, memory and GPUs above are those of all nodes."),
        "tasks": _number("Tasks", 0, "0: one for each core with MPI, else one."),
        "gpu_type": _word("Kind of GPU", "gpu_type", "Empty: any."),
        "account": _word("Account", "account", "Whose allocation the site charges."),
        "qos": _word("Quality of service", "qos"),
        "licences": forms.CharField(
            label="Licences",
            required=False,
            widget=_text(list="site-licences", spellcheck="false"),
            help_text="With how many of each: matlab:1 vasp",
        ),
        "exclusive": forms.BooleanField(label="Share the nodes with nobody", required=False),
    }


def resources_said(said: Mapping[str, Any]) -> dict[str, Any]:
    """What was entered, as DraftSpec names it; expects cleaned data."""
    found: dict[str, Any] = {name: said.get(name) or "" for name in WORDS}
    nodes = said.get("nodes")
    return found | {
        "nodes": 1 if nodes is None else nodes,
        "tasks": said.get("tasks") or 0,
        "gpus": said.get("gpus") or 0,
        "licences": (said.get("licences") or "").replace(",", " ").split(),
        "exclusive": bool(said.get("exclusive")),
    }


def initial_resources(calculation: Any) -> dict[str, Any]:
    values = {name: getattr(calculation, name) for name in ALL}
    return values | {"licences": " ".join(calculation.licences)}
