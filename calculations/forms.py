"""The form of a calculation, drawn from a plug-in's parameters.

It knows shapes alone; the checks are the services'.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from textwrap import shorten
from typing import Any

from django import forms

from calculations.axis_fields import (
    DrawnAxis,
    drawn_axes,
    field_of_error,
    fields_of,
    initial_of_sweep,
    shown,
    sweep_said,
)
from calculations.models import Calculation, LabSettings, Structure
from calculations.resource_fields import (
    ALL,
    USUAL,
    initial_resources,
    resource_fields,
    resources_said,
)
from calculations.services.drafts import DraftSpec, clusters
from calculations.services.pseudo_families import Family, families
from calculations.software.base import Software
from calculations.software.parameters import Kind, Parameter
from labportal.accounts.models import Project, User
from labportal.accounts.roles import Can, can

PARAMETER = "p_"
MOST_OF_A_LABEL = 90  # characters of a cluster's line in the choice
SERVICE_NAMES = {
    "memory_mib": "memory_gib",
    "walltime_s": "walltime_min",
}


@dataclass(frozen=True, slots=True)
class Group:
    """The parameters under one heading, as bound fields with what is written beside them."""

    title: str
    fields: tuple[Any, ...]
    advanced: tuple[Any, ...]


def _text(**attributes: str) -> forms.TextInput:
    return forms.TextInput({"class": "form-control", "autocomplete": "off", **attributes})


class DraftForm(forms.Form):
    """All fields are optional here: drafts.clean says what is missing, in the API's words."""

    name = forms.CharField(label="Name", required=False, widget=_text(maxlength="200"))
    description = forms.CharField(
        label="Note",
        required=False,
        widget=forms.Textarea({"class": "form-control is-prose", "rows": 2}),
        help_text="Why you do this, for those who find it in a year.",
    )
    project = forms.ModelChoiceField(
        Project.objects.none(),
        label="Project",
        to_field_name="slug",
        empty_label=None,
        widget=forms.Select({"class": "form-select"}),
    )
    structure = forms.ModelChoiceField(
        Structure.objects.none(),
        label="Structure",
        required=False,
        widget=forms.HiddenInput,
        error_messages={"invalid_choice": "is not in the library, or not yours to see"},
    )
    cluster = forms.ModelChoiceField(
        None,
        label="Cluster",
        required=False,
        to_field_name="name",
        empty_label="any that has the software",
        widget=forms.Select({"class": "form-select"}),
    )
    cores = forms.IntegerField(label="Cores", initial=1, widget=_text(inputmode="numeric"))
    memory_gib = forms.FloatField(label="Memory", initial=1, widget=_text(inputmode="decimal"))
    walltime_min = forms.FloatField(
        label="Time limit", initial=10, widget=_text(inputmode="decimal")
    )
    priority = forms.IntegerField(
        label="Priority", initial=0, required=False, widget=_text(inputmode="numeric")
    )
    keep_files = forms.BooleanField(label="Keep the raw files on the cluster", required=False)
    pseudo_family = forms.ChoiceField(
        label="Pseudopotentials",
        required=False,
        widget=forms.Select({"class": "form-select"}),
    )
    automatic_retries = forms.TypedChoiceField(
        label="Try again by itself",
        required=False,
        coerce=int,
        empty_value=0,
        choices=((0, "no"), (1, "once"), (2, "twice")),
        widget=forms.Select({"class": "form-select"}),
        help_text="Where SCF or geometry does not converge, with the change that is advised.",
    )
    analyses = forms.MultipleChoiceField(
        label="Analyses", required=False, widget=forms.CheckboxSelectMultiple
    )

    def __init__(self, *args: Any, software: Software, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.software, self.user = software, user
        self.fields["project"].queryset = Project.objects.visible_to(user)
        self.fields["structure"].queryset = Structure.objects.visible_to(user)
        self.fields["cluster"].queryset = clusters().filter(enabled=True)
        self.fields["cluster"].label_from_instance = _cluster_label
        self.fields.update(fields_of(software, user))
        self.fields.update(resource_fields())
        self.fields["analyses"].choices = [(a.name, a.label) for a in software.analyses]
        self._offer_families()
        if not software.retried:
            del self.fields["automatic_retries"]
        if not can(user, Can.PRIORITISE):
            self.fields["priority"].help_text = "0 or less; moderators give more."
        for parameter in software.parameters:
            self.fields[PARAMETER + parameter.name] = _field_of(parameter)

    def _offer_families(self) -> None:
        """The library's families, for programs that take pseudopotentials."""
        wanted = set(self.software.pseudo_formats)
        self.families = [f for f in families() if wanted & set(f.formats)] if wanted else []
        if not wanted:
            del self.fields["pseudo_family"]
            return
        self.fields["pseudo_family"].choices = [
            ("", "my own files"),
            *((family.name, _family_label(family)) for family in self.families),
        ]

    def groups(self, *, structure: bool) -> list[Group]:
        """The first group (the structure's own), or all the others, in the form's order."""
        first = next((p.group for p in self.software.parameters), "")
        order = dict.fromkeys(p.group for p in self.software.parameters)
        return [self._group(name) for name in order if (name == first) is structure]

    def _group(self, name: str) -> Group:
        rows = [
            (parameter.advanced, self._drawn(parameter))
            for parameter in self.software.parameters
            if parameter.group == name
        ]
        usual = tuple(row for advanced, row in rows if not advanced)
        return Group(name, usual, tuple(row for advanced, row in rows if advanced))

    def _drawn(self, parameter: Parameter) -> dict[str, Any]:
        return {
            "field": self[PARAMETER + parameter.name],
            "unit": parameter.unit if parameter.lines == 1 else "",
            "hint": _bounds(parameter) or parameter.keyword,
            "keyword": parameter.keyword,
            "wide": parameter.lines > 1,
            "check": parameter.kind is Kind.BOOLEAN,
        }

    def spec(self, copied_from: Calculation | None = None) -> DraftSpec:
        """What was entered, for the services; expects that is_valid() was asked."""
        said = self.cleaned_data
        return DraftSpec(
            project=said.get("project"),
            name=said.get("name", ""),
            description=said.get("description", ""),
            software=self.software.name,
            parameters={p.name: said.get(PARAMETER + p.name, "") for p in self.software.parameters},
            sweep=sweep_said(said),
            analyses=said.get("analyses", []),
            complete=True,
            cluster=said.get("cluster"),
            cores=said.get("cores") or 0,
            memory_mib=round((said.get("memory_gib") or 0) * 1024),
            walltime_s=round((said.get("walltime_min") or 0) * 60),
            **resources_said(said),
            priority=said.get("priority") or 0,
            keep_files=said.get("keep_files", False),
            automatic_retries=said.get("automatic_retries") or 0,
            pseudo_family=said.get("pseudo_family") if "pseudo_family" in self.fields else None,
            copied_from=copied_from,
            structure=said.get("structure"),
        )

    def further_resources(self) -> list[Any]:
        """The bound fields of what few ask for."""
        return [self[name] for name in ALL if name not in USUAL and name != "exclusive"]

    def asks_further(self) -> bool:
        """Whether one of them says something, or is wrong: then they stand open."""
        said = {name: self[name].value() for name in ALL if name not in USUAL}
        usual = {name: field.initial for name, field in resource_fields().items()}
        return any(
            self[name].errors or str(value or "") not in ("", "0", str(usual[name] or ""))
            for name, value in said.items()
        )

    def axes(self) -> list[DrawnAxis]:
        return drawn_axes(self)

    def take_errors(self, errors: Mapping[str, str]) -> None:
        """Put the services' errors beside their fields."""
        for name, text in errors.items():
            field = SERVICE_NAMES.get(name, name.replace("parameters.", PARAMETER))
            if name.startswith("sweep"):
                field = field_of_error(self.cleaned_data, name)
            known = field in self.fields
            self.add_error(field if known else None, text if known else f"{name} {text}")


def _family_label(family: Family) -> str:
    words = ", ".join([*family.functionals, f"{len(family.elements)} elements"])
    return f"{family.name} ({words})"


def _cluster_label(cluster: Any) -> str:
    slots = cluster.capacity.get("slots", {})
    if why := cluster.why_not():
        return shorten(f"{cluster.name} ({why}", MOST_OF_A_LABEL - 1, placeholder="…") + ")"
    return f"{cluster.name} ({slots.get('free', 0)} of {cluster.slots_total} slots free)"


def _bounds(parameter: Parameter) -> str:
    low, high = parameter.minimum, parameter.maximum
    if low is None or high is None:
        return ""
    return f"{shown(low)} to {shown(high)}".replace("-", "\N{MINUS SIGN}")


def _field_of(parameter: Parameter) -> forms.Field:
    common = {"label": parameter.label, "required": False, "help_text": parameter.help}
    if parameter.kind is Kind.BOOLEAN:
        return forms.BooleanField(initial=bool(parameter.default), **common)
    initial = shown(parameter.default)
    if parameter.kind is Kind.CHOICE:
        select = forms.Select({"class": "form-select"})
        return forms.ChoiceField(
            choices=parameter.choices, initial=initial, widget=select, **common
        )
    if parameter.kind is Kind.TEXT and parameter.lines > 1:
        area = forms.Textarea(
            {"class": "form-control", "rows": parameter.lines, "spellcheck": "false"}
        )
        return forms.CharField(initial=initial, widget=area, strip=False, **common)
    mode = {"inputmode": "decimal"} if parameter.kind is not Kind.TEXT else {}
    return forms.CharField(initial=initial, widget=_text(**mode), **common)


def initial_of(calculation: Calculation, parameters: Iterable[Parameter]) -> dict[str, Any]:
    """The form's values for a stored calculation."""
    values = {
        PARAMETER + p.name: (
            calculation.parameters.get(p.name)
            if p.kind is Kind.BOOLEAN
            else shown(calculation.parameters.get(p.name))
        )
        for p in parameters
        if p.name in calculation.parameters
    }
    return (
        values
        | initial_of_sweep(calculation.sweep)
        | {
            "name": calculation.name,
            "description": calculation.description,
            "project": calculation.project,
            "cluster": calculation.cluster,
            "cores": calculation.cores,
            "memory_gib": shown(round(calculation.memory_mib / 1024, 3)),
            "walltime_min": shown(round(calculation.walltime_s / 60, 3)),
            **initial_resources(calculation),
            "priority": calculation.priority,
            "keep_files": calculation.keep_files,
            "automatic_retries": calculation.automatic_retries,
            "analyses": calculation.analyses,
        }
    )


class SettingsForm(forms.ModelForm):
    """What the lab's admins decide about calculations."""

    class Meta:
        model = LabSettings
        fields = (
            "auto_approve_core_hours",
            "retention_days",
            "log_retention_days",
            "metrics_raw_hours",
            "metrics_minutes_days",
            "metrics_hours_days",
            "half_life_days",
            "aging_days",
            "gpu_weight",
            "runs_per_user",
            "runs_per_project",
            "price_tolerance_percent",
            "dearer_after_min",
        )
        widgets = {name: forms.TextInput({"class": "form-control"}) for name in fields}
        help_texts = {
            "retention_days": (
                "Counted from the end of the calculation, where its project says nothing else. "
                "They go only once what was extracted is stored and verified; that stays for good."
            ),
            "log_retention_days": "Older lines are deleted every night.",
            "metrics_minutes_days": "Charts of a day and a week draw them.",
            "metrics_hours_days": "Charts of a month and a year draw them.",
        }
