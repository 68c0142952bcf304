"""The form of a cluster in AWS: shapes and ranges. Services say what is allowed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms

from clusters.models import AwsAccess


def _words(**attrs: Any) -> forms.TextInput:
    plain = {"autocapitalize": "none", "spellcheck": "false", "autocomplete": "off"}
    return forms.TextInput(attrs={"class": "form-control", **plain, **attrs})


def _whole(name: str, label: str, help_text: str = "") -> forms.IntegerField:
    field = AwsAccess._meta.get_field(name)
    least, most = (validator.limit_value for validator in field.validators[:2])
    return forms.IntegerField(
        label=label,
        min_value=least,
        max_value=most,
        initial=field.default,
        widget=forms.NumberInput(attrs={"class": "form-control"}),
        help_text=help_text,
    )


class _Price(forms.DecimalField):
    def prepare_value(self, value: Any) -> Any:
        """Without the exponent and the zeros that a column of twelve places gives it."""
        return f"{value.normalize():f}" if isinstance(value, Decimal) else value


def _price(name: str, label: str, help_text: str = "") -> forms.DecimalField:
    return _Price(
        label=label,
        min_value=0,
        max_value=1,
        max_digits=16,
        decimal_places=12,
        initial=AwsAccess._meta.get_field(name).default,
        widget=_words(inputmode="decimal"),
        help_text=help_text,
    )


class AwsForm(forms.Form):
    region = forms.CharField(max_length=40, initial="us-east-1", widget=_words())
    state_machine_arn = forms.CharField(
        label="State machine",
        max_length=300,
        widget=_words(autofocus=True),
        help_text="The ARN that Terraform printed: arn:aws:states:….",
    )
    bucket = forms.CharField(max_length=63, widget=_words())
    prefix = forms.CharField(
        label="Folder of runs",
        max_length=200,
        initial="labportal",
        widget=_words(),
        help_text="Plans, programs and results; the portal writes and deletes below it.",
    )
    data_prefix = forms.CharField(
        label="Folder of data sets",
        max_length=200,
        required=False,
        initial="data",
        widget=_words(),
        help_text="Partitions and weights; the portal only reads them.",
    )
    access_key_id = forms.CharField(
        label="Access key ID",
        max_length=128,
        required=False,
        widget=_words(),
        help_text="Empty: the role of the portal's own machine.",
    )
    secret = forms.CharField(
        label="Secret access key",
        max_length=200,
        required=False,
        widget=forms.PasswordInput(attrs={"class": "form-control", "autocomplete": "new-password"}),
        help_text="Stored encrypted and never shown again. Empty: the one that is stored.",
    )
    endpoint_url = forms.CharField(
        label="Endpoint",
        max_length=300,
        required=False,
        widget=_words(inputmode="url"),
        help_text="Of a private network or a test server; empty: AWS itself.",
    )
    memory_mib = _whole("memory_mib", "Memory of a function", "1,769 MB bring a whole core.")
    disk_mib = _whole("disk_mib", "Disk of a function", "Its ephemeral storage.")
    timeout_s = _whole("timeout_s", "Time of a function", "Lambda allows 15 minutes at most.")
    most_at_once = _whole(
        "most_at_once", "Functions at once", "At most what the account's concurrency allows."
    )
    samples_per_s = forms.FloatField(
        label="Speed of a function",
        min_value=0.01,
        max_value=1e6,
        initial=100.0,
        widget=_words(inputmode="decimal"),
        help_text="Expected until the first run has measured it.",
    )
    price_gb_second = _price("price_gb_second", "Price of a GB-second", "Of memory as deployed.")
    price_request = _price("price_request", "Price of a request")
    price_transition = _price("price_transition", "Price of a transition")
