"""The lab's settings: what needs no review, how long things are kept."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from calculations.forms import SettingsForm
from calculations.models import LabSettings
from calculations.services import lab
from labportal.accounts.decorators import needs
from labportal.accounts.roles import Can
from labportal.common import trial


@needs(Can.MANAGE_SETTINGS)
def lab_settings(request: HttpRequest) -> HttpResponse:
    settings = LabSettings.current()
    form = SettingsForm(request.POST or None, instance=settings)
    if request.method == "POST" and form.is_valid():
        lab.change_settings(form.cleaned_data, actor=request.user)
        messages.success(request, "The settings are saved; they hold from now on.")
        return redirect("lab-settings")
    status = 400 if form.errors else 200
    context = {"form": form, "storage_trial": trial.kept(request, "storage")}
    return render(request, "calculations/settings.html", context, status=status)


@require_POST
@needs(Can.MANAGE_SETTINGS)
def storage_test(request: HttpRequest) -> HttpResponse:
    trial.keep(request, "storage", lab.try_file_store(actor=request.user))
    return redirect(reverse("lab-settings") + "#storage-trial")
