"""The forms of clusters, keys and logs: shapes and ranges. Services say what is allowed."""

from __future__ import annotations

from typing import Any

from django import forms

from clusters.models import Cluster, LogLine
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

    carrier = forms.ChoiceField(
        label="How it is reached",
        choices=Cluster.Carrier.choices,
        initial=Cluster.Carrier.HTTPS,
        required=False,
        widget=forms.RadioSelect,
    )

    field_order = ("name", "carrier", "description", "max_runs")

    def clean_carrier(self) -> str:
        return self.cleaned_data["carrier"] or Cluster.Carrier.HTTPS


class SshForm(forms.Form):
    """Where the portal signs in. What may stand in the fields, the service says."""

    host = forms.CharField(
        max_length=255,
        widget=_text(autocapitalize="none", spellcheck="false", autofocus=True),
        help_text="The login node, such as login.hpc.example.",
    )
    port = forms.IntegerField(min_value=1, max_value=65535, initial=22, widget=_number())
    user = forms.CharField(
        max_length=64,
        widget=_text(autocapitalize="none", spellcheck="false", autocomplete="off"),
        help_text="The account over there; its runs are this account's.",
    )
    work = forms.CharField(
        label="Work folder",
        max_length=400,
        initial="~/labportal",
        widget=_text(spellcheck="false"),
        help_text="With room for the runs, seen by the compute nodes too. It is made if absent.",
    )
    scheduler = forms.ChoiceField(
        choices=[("slurm", "Slurm"), ("pbs", "PBS"), ("process", "None: plain processes")],
        initial="slurm",
        widget=_select(),
    )
    python = forms.CharField(
        max_length=300,
        initial="python3",
        widget=_text(spellcheck="false"),
        help_text="3.9 or later; a path where the usual one is older.",
    )
    most_per_minute = forms.IntegerField(
        label="Visits per minute",
        min_value=1,
        max_value=60,
        initial=6,
        widget=_number(),
        help_text="At most. Visits share one connection; the host sees few sign-ins.",
    )
    most_at_once = forms.IntegerField(
        label="Visits at once",
        min_value=1,
        max_value=10,
        initial=2,
        widget=_number(),
        help_text="Two let a test run beside an exchange.",
    )
    exchange_s = forms.IntegerField(
        label="Seconds between visits", min_value=10, max_value=120, initial=30, widget=_number()
    )
    session_s = forms.IntegerField(
        label="Longest visit in seconds",
        min_value=30,
        max_value=3600,
        initial=600,
        widget=_number(),
        help_text="Visits last while files travel and results are read.",
    )
    reaches_store = forms.BooleanField(
        label="It may fetch files from the portal's S3 store by itself", required=False
    )
    agent_settings = forms.CharField(
        label="Further settings of the agent",
        max_length=10_000,
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"class": "form-control", "rows": 6, "spellcheck": "false"}),
        help_text="Sections [agent], [scheduler] and [software.<program>] of its INI file.",
    )


class SshKeyForm(forms.Form):
    private_key = forms.CharField(
        label="Private key",
        max_length=20_000,
        strip=False,
        widget=forms.Textarea(
            attrs={"class": "form-control", "rows": 4, "spellcheck": "false", "autocomplete": "off"}
        ),
        help_text="Of OpenSSH, without a passphrase. It is stored encrypted and never shown again.",
    )
    certificate = forms.CharField(
        label="Certificate, where the site issues one",
        max_length=20_000,
        required=False,
        widget=forms.Textarea(attrs={"class": "form-control", "rows": 2, "spellcheck": "false"}),
        help_text="The one line of KEY-cert.pub.",
    )


class SeatsForm(forms.Form):
    seats = forms.IntegerField(min_value=1, max_value=1_000_000, widget=_number())


class LicenceForm(SeatsForm):
    name = forms.CharField(
        max_length=60,
        widget=_text(autocapitalize="none", spellcheck="false", autocomplete="off"),
        help_text="As calculations ask for it, such as matlab.",
    )

    field_order = ("name", "seats")


class SharesForm(forms.Form):
    shares = forms.IntegerField(min_value=1, max_value=1000, widget=_number())


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
