"""The lab's settings: what needs no review, how long things are kept, the announcement."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from calculations.forms import SettingsForm
from calculations.models import LabSettings
from calculations.services import lab
from labportal.accounts.decorators import needs
from labportal.accounts.roles import Can


@needs(Can.MANAGE_SETTINGS)
def lab_settings(request: HttpRequest) -> HttpResponse:
    settings = LabSettings.current()
    form = SettingsForm(request.POST or None, instance=settings)
    if request.method == "POST" and form.is_valid():
        lab.change_settings(form.cleaned_data, actor=request.user)
        messages.success(request, "The settings are saved; they hold from now on.")
        return redirect("lab-settings")
    status = 400 if form.errors else 200
    return render(request, "calculations/settings.html", {"form": form}, status=status)
