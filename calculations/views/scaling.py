"""The tab Scaling: the same work at several numbers of ranks, and what each of them costs."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django import forms
from django.http import Http404, HttpRequest
from django.urls import reverse

from calculations.models import Calculation
from calculations.scaling import prices
from calculations.scaling.figures import charts
from calculations.scaling.gathering import MOST_RUNS, scales, with_others
from calculations.scaling.law import LEAST
from calculations.scaling.measured import work_words
from calculations.scaling.prices import Prices
from calculations.scaling.study import Study, study
from calculations.views.figures import figures
from labportal.common.errors import InvalidInput, NotFound


def _text(label: str, unit: str, help_text: str = "", placeholder: str = "") -> forms.CharField:
    widget = forms.TextInput(
        {"class": "form-control", "autocomplete": "off", "placeholder": placeholder}
    )
    field = forms.CharField(label=label, required=False, help_text=help_text, widget=widget)
    field.unit = unit
    return field


class PricesForm(forms.Form):
    """What the page may be asked; its address is all its state."""

    core_hour = _text("Price of a core-hour", "", "Empty: that of the cluster.")
    gpu_hour = _text("Price of a GPU-hour", "", "Empty: that of the cluster.")
    memory = _text(
        "Memory of a function", "MB", "Empty: the least that holds a rank and gives it whole cores."
    )
    deadline = _text("Deadline", "s", "From the start to the reduced result.")

    def __init__(self, query: dict[str, str], errors: dict[str, str], offered: Prices) -> None:
        super().__init__(query)
        self.fields["with"] = _text("Together with", "", "Other calculations, by number.", "C-12")
        for name, known in (("core_hour", offered.core_hour), ("gpu_hour", offered.gpu_hour)):
            if known is not None and offered.source != prices.ENTERED:
                self.fields[name].widget.attrs["placeholder"] = f"{known:g}"
        self.full_clean()
        for name, words in errors.items():
            self.add_error(name if name in self.fields else None, words)


def scaling(request: HttpRequest, calculation: Calculation) -> dict[str, Any]:
    if scales(calculation) is None:
        raise Http404
    query = {name: value for name, value in request.GET.items() if name in ASKED and value.strip()}
    found, errors = _found(request, calculation, query)
    address = f"?{urlencode(query)}" if query and not errors else ""
    return {
        "study": found,
        "parts": [(part, work_words(part.series.work)) for part in found.parts],
        "varied": any(len(part.rows) > 1 for part in found.parts),
        "figures": figures(charts(found)),
        "form": PricesForm(query, errors, found.prices),
        "most_runs": MOST_RUNS,
        "least": LEAST,
        "prices": prices,
        "csv_url": reverse("api-calculation-scaling-csv", args=[calculation.pk]) + address,
        "json_url": reverse("api-calculation-scaling", args=[calculation.pk]) + address,
        "others": found.calculations[1:],
    }


ASKED = ("with", "core_hour", "gpu_hour", "memory", "deadline")


def _found(
    request: HttpRequest, calculation: Calculation, query: dict[str, str]
) -> tuple[Study, dict[str, str]]:
    """What is wrong in the address is left out and told; the rest of the page stays."""
    errors: dict[str, str] = {}
    calculations = [calculation]
    try:
        calculations = with_others(calculation, query.get("with", ""), request.user)
    except InvalidInput as error:
        errors |= error.errors
    except NotFound as error:
        errors["with"] = error.message
    try:
        return study(calculations, query), errors
    except InvalidInput as error:
        errors |= error.errors
        return study(calculations, {}), errors
