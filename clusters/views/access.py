"""What the pages of a way to a cluster share, whichever way it is: the form in which it is set."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from django.contrib import messages
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from clusters.models import Cluster
from labportal.accounts.views import submit


def edit_access(
    request: HttpRequest,
    cluster: Cluster,
    form_class: type[Form],
    *,
    access: Any,
    service: ModuleType,
    template: str,
) -> HttpResponse:
    """Show and take the form. `service` has FIELDS and `set_up`; `access` is None before."""
    initial = {field: getattr(access, field) for field in service.FIELDS} if access else {}
    form = form_class(request.POST or None, initial=initial)
    if request.method == "POST" and submit(
        form, lambda data: service.set_up(cluster, **data, actor=request.user)
    ):
        messages.success(request, "Saved.")
        return redirect("cluster-agent", cluster.name)
    context = {"form": form, "cluster": cluster, "access": access}
    status = 400 if request.method == "POST" else 200
    return render(request, template, context, status=status)
