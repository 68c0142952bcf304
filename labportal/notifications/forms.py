"""The form of an announcement: shapes and ranges. The services say what may be told."""

from __future__ import annotations

from typing import Any

from django import forms
from django.apps import apps

from labportal.common.clock import now
from labportal.notifications.models import Announcement

MINUTES = "%Y-%m-%dT%H:%M"


def _moment() -> forms.DateTimeInput:
    return forms.DateTimeInput({"class": "form-control", "type": "datetime-local"}, format=MINUTES)


class AnnouncementForm(forms.Form):
    """Times are in the person's own zone."""

    text = forms.CharField(
        max_length=500,
        widget=forms.Textarea({"class": "form-control is-prose", "rows": 2}),
        help_text="One line, as short as it can be. Addresses become links.",
    )
    level = forms.ChoiceField(
        choices=Announcement.Level.choices, widget=forms.Select({"class": "form-select"})
    )
    cluster = forms.ModelChoiceField(
        queryset=None,
        required=False,
        empty_label="the whole lab",
        label="About",
        widget=forms.Select({"class": "form-select"}),
    )
    from_at = forms.DateTimeField(
        label="From", required=False, widget=_moment(), help_text="Empty: at once."
    )
    until_at = forms.DateTimeField(
        label="Until", required=False, widget=_moment(), help_text="Empty: until you end it."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["cluster"].queryset = apps.get_model("clusters", "Cluster").objects.all()

    def clean_from_at(self) -> Any:
        return self.cleaned_data["from_at"] or self.initial.get("from_at") or now()
