"""The forms of models and their versions: shapes and ranges. Services say what is allowed."""

from __future__ import annotations

from typing import Any

from django import forms

from clusters.models import Cluster
from labportal.accounts.forms import zones
from labportal.common.errors import InvalidInput
from mlmodels import timetable
from mlmodels.fields import CommandField, DocumentField, EnvironmentField, TypesField, textarea
from mlmodels.models import ModelVersion, RegisteredModel

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
SCHEDULE = ("stop_at", "start_at", "days", "time_zone")
WHOLE_WEEK = list(range(len(DAYS)))


def _text(**attrs: Any) -> forms.TextInput:
    return forms.TextInput(attrs={"class": "form-control", **attrs})


def _whole(label: str, least: int, most: int, initial: int, help_text: str = "") -> Any:
    return forms.IntegerField(
        label=label,
        min_value=least,
        max_value=most,
        initial=initial,
        widget=forms.NumberInput(attrs={"class": "form-control"}),
        help_text=help_text,
    )


class ClustersField(forms.ModelMultipleChoiceField):
    """Clusters by name, each with what it can serve a model with."""

    widget = forms.CheckboxSelectMultiple

    def label_from_instance(self, cluster: Cluster) -> str:
        serving = cluster.capacity.get("serving") or {}
        kinds = ", ".join(serving.get("runtimes") or {})
        return f"{cluster.name} ({kinds or 'serves no models now'})"


class VersionForm(forms.Form):
    """One version: what runs, with which files, what it takes and gives, what it needs."""

    runtime = forms.ChoiceField(
        choices=ModelVersion.Runtime.choices,
        initial=ModelVersion.Runtime.CONTAINER,
        widget=forms.RadioSelect,
    )
    image = forms.CharField(
        max_length=300,
        required=False,
        widget=_text(autocapitalize="none", spellcheck="false"),
        help_text="Such as registry.lab.example/redshift:2. It is started with the argument serve.",
    )
    folder = forms.CharField(
        max_length=500,
        required=False,
        widget=_text(autocapitalize="none", spellcheck="false"),
        help_text="On the node, such as /srv/models/redshift; its requirements.txt is installed.",
    )
    command = CommandField(
        max_length=4000,
        required=False,
        widget=_text(autocapitalize="none", spellcheck="false"),
        help_text="Such as python serve.py; serve is added. Empty for an image that knows its own.",
    )
    files = forms.FileField(
        label="Files for /opt/ml/model",
        required=False,
        widget=forms.ClearableFileInput(
            attrs={"class": "form-control", "accept": ".tar.gz,.tgz,application/gzip"}
        ),
        help_text="A tar.gz, without links and without paths that lead out of it.",
    )
    files_url = forms.CharField(
        label="or their address",
        max_length=1000,
        required=False,
        widget=_text(
            autocapitalize="none", spellcheck="false", placeholder="s3://bucket/model.tar.gz"
        ),
    )
    files_sha256 = forms.CharField(
        label="SHA-256",
        max_length=64,
        required=False,
        widget=_text(autocapitalize="none", spellcheck="false"),
        help_text="Optional: what the file must be.",
    )
    keep_files = forms.BooleanField(label="Keep the files of the version before", required=False)
    environment = EnvironmentField(
        max_length=200_000,
        required=False,
        strip=False,
        widget=textarea(3, placeholder="NAME=value"),
        help_text="One variable a line.",
    )
    secrets = EnvironmentField(
        max_length=200_000,
        required=False,
        strip=False,
        widget=textarea(3, placeholder="NAME=value", autocomplete="off"),
        help_text="Encrypted, given to the server alone, shown to nobody again.",
    )
    accepts = TypesField(
        label="Content types it takes",
        max_length=2000,
        required=False,
        initial="application/json",
        widget=_text(autocapitalize="none", spellcheck="false"),
        help_text="The first is that of the example.",
    )
    example = forms.CharField(
        max_length=6 * 2**20,
        required=False,
        strip=False,
        widget=textarea(5),
        help_text="A body that it answers well: the contract test and the health check send it.",
    )
    input_schema = DocumentField(
        max_length=300_000,
        required=False,
        widget=textarea(8),
        help_text="A JSON Schema. The form of “Try it” is made from it.",
    )
    output_schema = DocumentField(
        max_length=300_000,
        required=False,
        widget=textarea(8),
        help_text="A JSON Schema. It says how answers are drawn.",
    )
    cores = _whole("Cores", 1, 4096, 1)
    memory_mib = _whole("Memory", 16, 16_777_216, 1024)
    gpus = _whole("GPUs", 0, 64, 0)
    gpu_type = forms.CharField(
        label="Kind of GPU", max_length=60, required=False, widget=_text(), help_text="Empty: any."
    )
    startup_s = _whole(
        "Start-up window", 60, 3600, 480, "How long it may load before /ping answers 200."
    )
    read_only_root = forms.BooleanField(
        label="Read-only root", initial=True, required=False, help_text="It writes to /tmp alone."
    )
    note = forms.CharField(
        label="What is new",
        max_length=300,
        required=False,
        widget=_text(),
        help_text="Stands in the list of versions and in the timeline.",
    )

    def version_values(self) -> dict[str, Any]:
        """What `add_version` takes, apart from the model and who asks."""
        data = self.cleaned_data
        values = {name: data[name] for name in VersionForm.base_fields}
        upload = values.pop("files")
        values["files"] = (upload.name, upload) if upload else None
        values["image" if values["runtime"] == ModelVersion.Runtime.PROCESS else "folder"] = ""
        return values


class PlacementForm(forms.Form):
    """How many replicas, where, and when."""

    replicas_wanted = _whole("Replicas", 1, 64, 1, "Spread over the nodes that have room.")
    clusters = ClustersField(
        label="Where",
        queryset=Cluster.objects.filter(enabled=True),
        required=False,
        help_text="None chosen: wherever there is room.",
    )
    start_at = forms.CharField(
        label="Start at",
        max_length=5,
        required=False,
        widget=_text(placeholder="07:00", inputmode="numeric"),
    )
    stop_at = forms.CharField(
        label="Stop at",
        max_length=5,
        required=False,
        widget=_text(placeholder="20:00", inputmode="numeric"),
        help_text="Empty: it runs day and night.",
    )
    days = forms.TypedMultipleChoiceField(
        label="Started on",
        choices=list(enumerate(DAYS)),
        coerce=int,
        required=False,
        initial=WHOLE_WEEK,
        widget=forms.CheckboxSelectMultiple,
    )
    time_zone = forms.ChoiceField(
        label="Time zone",
        choices=zones,
        initial="UTC",
        required=False,
        widget=forms.Select(attrs={"class": "form-select"}),
    )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        schedule: dict[str, Any] = {}
        if data.get("stop_at") or data.get("start_at"):
            schedule = {name: data.get(name) for name in SCHEDULE}
        try:
            data["schedule"] = timetable.checked(schedule)
        except InvalidInput as wrong:
            self.add_error("stop_at", wrong.message)
        return data

    def placement_values(self) -> dict[str, Any]:
        data = self.cleaned_data
        return {name: data[name] for name in ("replicas_wanted", "clusters", "schedule")}


def _description() -> forms.CharField:
    return forms.CharField(
        max_length=5000,
        required=False,
        widget=forms.Textarea(attrs={"class": "form-control is-prose", "rows": 3}),
        help_text="What it predicts, from what it learned, whom to ask.",
    )


class RegisterForm(VersionForm, PlacementForm):
    """A model with its first version."""

    name = forms.CharField(
        max_length=63,
        widget=_text(autocapitalize="none", spellcheck="false", autofocus=True),
        help_text="Lower-case letters, digits and hyphens, such as redshift-2. It is its address.",
    )
    description = _description()

    def model_values(self) -> dict[str, Any]:
        data = self.cleaned_data
        return {name: data[name] for name in ("name", "description")} | self.placement_values()


class SettingsForm(PlacementForm):
    """What may be changed of a model without a new version."""

    description = _description()
    timeout_s = _whole("Answer within", 1, 3600, 60, "Longer calls end with 504.")
    max_body_mib = _whole("Largest body", 1, 1024, 6, "Larger ones are refused with 413.")
    max_in_flight = _whole("Calls at once", 1, 10_000, 64, "For each replica; more get 429.")
    calls_per_minute = _whole("Calls a minute", 1, 1_000_000, 6000, "For each person.")
    stores_bodies = forms.BooleanField(
        label="Keep what is asked and answered",
        required=False,
        help_text="As predictions that everybody here may search and export.",
    )
    prediction_days = _whole("Predictions are kept for", 1, 36_500, 90)

    LIMITS = (
        "timeout_s",
        "max_body_mib",
        "max_in_flight",
        "calls_per_minute",
        "stores_bodies",
        "prediction_days",
    )

    @classmethod
    def values_of(cls, model: RegisteredModel) -> dict[str, Any]:
        """What the form shows of a model as it is."""
        plain = ("description", "replicas_wanted", *cls.LIMITS)
        schedule = model.schedule or {"days": WHOLE_WEEK, "time_zone": "UTC"}
        values = {name: getattr(model, name) for name in plain}
        return (
            values
            | {name: schedule.get(name) for name in SCHEDULE}
            | {"clusters": model.clusters.all()}
        )

    def setting_values(self) -> dict[str, Any]:
        data = self.cleaned_data
        return {name: data[name] for name in ("description", *self.LIMITS)} | (
            self.placement_values()
        )
