"""The forms of clusters, keys and logs: shapes and ranges. Services say what is allowed."""

from __future__ import annotations

from typing import Any

from django import forms

from clusters.models import LogLine
from clusters.selectors.logs import LogFilters, services


def _text(**attrs: Any) -> forms.TextInput:
    return forms.TextInput(attrs={"class": "form-control", **attrs})


def _number(**attrs: Any) -> forms.NumberInput:
    return forms.NumberInput(attrs={"class": "form-control", **attrs})


def _select() -> forms.Select:
    return forms.Select(attrs={"class": "form-select"})


class ClusterForm(forms.Form):
    """A cluster that is registered already: its name stays."""

    description = forms.CharField(
        max_length=2000,
        required=False,
        widget=forms.Textarea(attrs={"class": "form-control is-prose", "rows": 3}),
        help_text="What it is, where it stands, whom to ask.",
    )
    max_runs = forms.IntegerField(
        label="Runs at once",
        min_value=1,
        max_value=10_000,
        required=False,
        widget=_number(),
        help_text="Empty: as many as its agent offers.",
    )


def _cap(label: str) -> forms.IntegerField:
    return forms.IntegerField(
        label=label,
        min_value=1,
        max_value=10_000,
        required=False,
        widget=_number(),
        help_text="Empty: no limit.",
    )


def _price(label: str) -> forms.DecimalField:
    return forms.DecimalField(
        label=label,
        min_value=0,
        max_digits=10,
        decimal_places=4,
        required=False,
        widget=_text(inputmode="decimal"),
        help_text="Empty: it costs nothing.",
    )


class EditForm(ClusterForm):
    """What else may be said of a cluster once it is there: caps and prices."""

    max_runs_per_user = _cap("Runs at once for each person")
    max_runs_per_project = _cap("Runs at once for each project")
    price_core_hour = _price("Price of a core-hour")
    price_gpu_hour = _price("Price of a GPU-hour")


class RegisterForm(ClusterForm):
    name = forms.CharField(
        max_length=60,
        widget=_text(autocapitalize="none", spellcheck="false", autofocus=True),
        help_text="Lower-case letters, digits, dots and hyphens, such as tesla-1. It stays.",
    )

    field_order = ("name", "description", "max_runs")


class NoteForm(forms.Form):
    note = forms.CharField(max_length=300, required=False)


class KeyForm(forms.Form):
    days = forms.TypedChoiceField(
        label="Valid for",
        coerce=int,
        empty_value=None,
        required=False,
        choices=[("365", "a year"), ("90", "90 days"), ("30", "30 days"), ("", "until revoked")],
        initial="365",
        widget=_select(),
    )


class LogFilterForm(forms.Form):
    """Draws the filters; `LogFilters.read` is what checks them."""

    cluster = forms.ChoiceField(required=False, widget=_select())
    service = forms.ChoiceField(
        required=False,
        choices=[("", "Every service"), *((name, name.capitalize()) for name in services())],
        widget=_select(),
    )
    level = forms.ChoiceField(
        required=False,
        choices=[
            ("", "Every level"),
            *((v, f"{label} and up") for v, label in LogLine.Level.choices[1:]),
        ],
        widget=_select(),
    )
    text = forms.CharField(
        required=False,
        max_length=200,
        widget=_text(type="search", placeholder="Text in the line"),
    )
    since = forms.CharField(
        label="From",
        required=False,
        max_length=40,
        widget=_text(placeholder="Since, such as 2h"),
    )
    until = forms.CharField(
        label="To", required=False, max_length=40, widget=_text(placeholder="Until, such as 10m")
    )

    def __init__(self, filters: LogFilters, names: list[str]) -> None:
        super().__init__(initial=filters.active())
        self.fields["cluster"].choices = [("", "Every cluster"), *((n, n) for n in names)]


class DeleteLogsForm(forms.Form):
    older_than_days = forms.IntegerField(
        label="Older than",
        min_value=0,
        max_value=36_500,
        initial=30,
        widget=_number(),
        help_text="0: whatever their age.",
    )
