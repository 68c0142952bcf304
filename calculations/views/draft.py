"""New calculation and the change of a draft: one form, with what it will cost beside it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from calculations import policy
from calculations.forms import DraftForm, initial_of
from calculations.models import Calculation, LabSettings
from calculations.services import drafts, submission
from calculations.services.preview import PreviewFile, input_files
from calculations.services.pseudo_families import families, family_of
from calculations.services.sweeps import needed_of, swept_names
from calculations.software.base import Software
from calculations.software.graph import suited
from calculations.software.registry import offered_software
from calculations.states import CalculationState
from calculations.sweeps.planner import chain_depth
from calculations.views.analysing import SCOPES, nodes
from calculations.views.choosing import chosen, fills, first_structure
from calculations.views.finding import find
from calculations.views.input_file import filled_from_file
from calculations.views.plan import Experience, Plan, experience, plan_of
from calculations.views.pseudo_choice import Choice, choice_of, first_family
from calculations.views.site import Site, site_of
from calculations.views.templates import offered, started
from calculations.views.verbs import said
from labportal.accounts.decorators import needs
from labportal.accounts.models import Project, User
from labportal.accounts.roles import Can
from labportal.common.errors import DomainError, InvalidInput, WrongMoment
from labportal.common.navigation import forget_counts

FIRST_SOFTWARE = ("pyscf", "siesta")


@dataclass(frozen=True, slots=True)
class Estimate:
    """The side panel: what the draft as it stands would cost, and what it still lacks."""

    runs: int
    plan: Plan | None
    experience: Experience | None
    core_hours: float
    gpu_hours: float
    price: float | None
    tries: int
    longest: timedelta
    review: str
    start: str
    errors: list[str]
    missing_files: list[str]
    needed_files: list[str]
    pseudo: Choice
    files: list[PreviewFile]
    run_number: int
    notes: list[str]
    site: Site


@needs(Can.CREATE_CALCULATION)
def calculation_new(request: HttpRequest) -> HttpResponse:
    source = _source(request)
    asked = request.POST.get("software") or request.GET.get("software")
    begun = None if source or request.method == "POST" else started(request)
    software = _software(begun.software if begun else asked, source)
    if request.method == "POST":
        return _take(request, software, None, source)
    initial = initial_of(source, software.parameters) if source else _first_values(request)
    if begun:
        initial |= begun.initial
    if source:
        initial["name"] = f"{source.name[:190]} (copy)"
    form = DraftForm(software=software, user=request.user, initial=initial)
    return _page(request, form, None, source)


@needs(Can.CREATE_CALCULATION)
def calculation_edit(request: HttpRequest, pk: int) -> HttpResponse:
    draft = find(request.user, pk)
    if draft.state != CalculationState.DRAFT:
        messages.info(request, f"{draft.number} was submitted; duplicate it to change something.")
        return redirect("calculation-detail", pk)
    software = _software(request.POST.get("software") or request.GET.get("software"), draft)
    if request.method == "POST":
        return _take(request, software, draft, None)
    initial = initial_of(draft, software.parameters)
    form = DraftForm(software=software, user=request.user, initial=initial)
    return _page(request, form, draft, None)


@needs(Can.CREATE_CALCULATION)
@require_POST
def calculation_preview(request: HttpRequest) -> HttpResponse:
    """The side panel for what is in the form now; it stores nothing."""
    software = _software(request.POST.get("software"), None)
    draft = (
        find(request.user, int(key)) if (key := request.POST.get("draft", "")).isdecimal() else None
    )
    form = DraftForm(request.POST, software=software, user=request.user)
    context = _context(request, form, draft, None) | {"swapped": True}
    return render(request, "calculations/_draft_side.html", context)


def _software(name: str | None, source: Calculation | None) -> Software:
    known = offered_software()
    wanted = [name, source.software if source else None, *FIRST_SOFTWARE]
    return next((known[n] for n in wanted if n in known), next(iter(known.values())))


def _source(request: HttpRequest) -> Calculation | None:
    key = request.GET.get("from", "")
    return find(request.user, int(key)) if key.isdecimal() and len(key) < 16 else None


def _first_values(request: HttpRequest) -> dict[str, Any]:
    projects = Project.objects.visible_to(request.user)
    slug = request.GET.get("project", "")
    project = projects.filter(slug=slug).first() if slug else None
    software = _software(request.GET.get("software"), None)
    return {
        "project": project or projects.filter(is_default=True).first(),
        "analyses": _usual_analyses(software),
        **first_structure(request, software),
        "pseudo_family": _usual_family(software),
    }


def _usual_family(software: Software) -> str:
    defaults = {p.name: p.default for p in software.parameters}
    return first_family(software, defaults, families()) if software.pseudo_formats else ""


def _usual_analyses(software: Software) -> list[str]:
    """The choice to begin with, when nobody knows yet what will vary."""
    defaults = {p.name: p.default for p in software.parameters}
    may_vary = [p.name for p in software.parameters if p.sweepable]
    return suited(software.analyses, defaults, may_vary)


def _take(
    request: HttpRequest,
    software: Software,
    draft: Calculation | None,
    source: Calculation | None,
) -> HttpResponse:
    """Store what was entered, and submit it if asked to; errors stand beside their fields."""
    form = DraftForm(request.POST, software=software, user=request.user)
    verb = request.POST.get("verb", "")
    if verb == "read":
        form, error = filled_from_file(request, software)
        return _page(request, form, draft, source, status=400 if error else 200, unread=error)
    if verb == "check" or not form.is_valid():
        return _page(request, form, draft, source, status=200 if verb == "check" else 400)
    stored = None
    try:
        stored = _store(request, form, draft, source)
        if verb == "submit":
            submission.submit(stored, actor=request.user)
    except InvalidInput as error:
        if stored is None:
            form.take_errors(error.errors)
            return _page(request, form, draft, source, status=400)
        messages.warning(request, f"Saved as a draft. Not submitted: {said(error)}.")
        return redirect("calculation-edit", stored.pk)
    except WrongMoment as error:
        messages.error(request, error.message)
        return redirect("calculation-list")
    forget_counts(request.user.pk)
    return redirect(_after(request, stored, verb))


@transaction.atomic
def _store(
    request: HttpRequest, form: DraftForm, draft: Calculation | None, source: Calculation | None
) -> Calculation:
    if draft is None:
        stored = drafts.create(form.spec(source), actor=request.user)
        if source is not None:
            drafts.copy_files(source, stored)
    else:
        stored = drafts.change(draft, form.spec(), actor=request.user)
    for name in request.POST.getlist("remove"):
        drafts.detach(stored, name[:120], actor=request.user)
    for upload in request.FILES.getlist("files"):
        drafts.attach(stored, upload.name, upload, actor=request.user)
    return stored


def _after(request: HttpRequest, stored: Calculation, verb: str) -> str:
    if verb != "submit":
        messages.success(request, f"The draft {stored.number} is saved.")
        return reverse("calculation-edit", args=[stored.pk])
    if stored.state == CalculationState.IN_REVIEW:
        messages.info(request, f"{stored.number} waits for a moderator: {stored.reason}.")
    else:
        messages.success(request, f"{stored.number} is queued.")
    return stored.get_absolute_url()


def _page(
    request: HttpRequest,
    form: DraftForm,
    draft: Calculation | None,
    source: Calculation | None,
    *,
    status: int = 200,
    unread: str = "",
) -> HttpResponse:
    """`unread` says why an input file could not be read."""
    context = {**_context(request, form, draft, source), "unread": unread}
    return render(request, "calculations/new.html", context, status=status)


def _context(
    request: HttpRequest, form: DraftForm, draft: Calculation | None, source: Calculation | None
) -> dict[str, Any]:
    present = list((draft or source).input_files.all()) if draft or source else []
    if present and not form.is_bound and "pseudo_family" in form.fields:
        form.initial["pseudo_family"] = family_of(present, form.families)
    names = [file.name for file in present]
    software = form.software
    return {
        "form": form,
        "fills": fills(form.software),
        "chosen": chosen(form),
        "templates": [] if draft or source else offered(form.user),
        "draft": draft,
        "source": source,
        "software": software,
        "all_software": list(offered_software().values()),
        "structure": form.groups(structure=True),
        "groups": form.groups(structure=False),
        "analyses": nodes(form.software, form["analyses"].value() or []),
        "scopes": SCOPES,
        "present": present,
        "estimate": _estimate(form, draft, source, names, _run_number(request)),
    }


def _run_number(request: HttpRequest) -> int:
    said_number = request.POST.get("preview_run", "")
    return int(said_number) if said_number.isdecimal() and len(said_number) < 6 else 2


def _estimate(
    form: DraftForm,
    draft: Calculation | None,
    source: Calculation | None,
    present: list[str],
    run_number: int,
) -> Estimate:
    columns, errors = _checked(form, form.user, draft or source)
    sweep = columns.get("sweep")
    trial = Calculation(**columns) if columns else Calculation(run_count=1)
    software, parameters = form.software, columns.get("parameters", {})
    needed = list(needed_of(software, parameters, sweep)) if parameters else []
    depth = chain_depth(sweep)
    seen = experience(form.user, software, parameters, trial.cores, depth) if parameters else None
    number = max(1, min(run_number, trial.run_count))
    family = form["pseudo_family"].value() or "" if "pseudo_family" in form.fields else ""
    pseudo = choice_of(software, columns, form.families, family, present)
    return Estimate(
        runs=trial.run_count,
        plan=plan_of(software, sweep),
        experience=seen,
        core_hours=trial.core_hours_limit,
        gpu_hours=trial.gpu_hours_limit,
        price=trial.price_limit,
        tries=1 + trial.automatic_retries,
        longest=timedelta(seconds=trial.walltime_s * depth),
        review=policy.review_reason(trial, LabSettings.current()) if columns else "",
        start=_start(columns.get("cluster")),
        errors=errors,
        missing_files=[n for n in needed if n not in present and n not in pseudo.names],
        needed_files=needed,
        pseudo=pseudo,
        files=input_files(software, parameters, sweep, number - 1) if parameters else [],
        run_number=number,
        notes=_notes(software, columns),
        site=site_of(form, trial.resources if columns else None),
    )


def _notes(software: Software, columns: dict[str, Any]) -> list[str]:
    """What the chosen analyses lack to find anything, where that is known before."""
    sweep = columns.get("sweep")
    chosen = nodes(
        software, columns.get("analyses", ()), columns.get("parameters"), swept_names(sweep)
    )
    return [f"{n.label}: {n.lacks}" for n in chosen if n.lacks and (sweep or n.scope == "run")]


def _checked(
    form: DraftForm, user: User, stored: Calculation | None
) -> tuple[dict[str, Any], list[str]]:
    """The draft's columns as they would be stored, or what is wrong with what was entered."""
    if not form.is_bound:
        form = DraftForm(_values_of(form), software=form.software, user=user)
    if not form.is_valid():
        return {}, [f"{form[name].label} {' '.join(texts)}" for name, texts in form.errors.items()]
    try:
        return drafts.clean(form.spec(), actor=user), []
    except InvalidInput as error:
        return _without_name(form, user, error)
    except DomainError as error:
        return {}, [error.message]


def _without_name(
    form: DraftForm, user: User, error: InvalidInput
) -> tuple[dict[str, Any], list[str]]:
    """A draft that lacks nothing but its name can be estimated all the same."""
    form.take_errors(error.errors)
    words = [
        f"{form.fields[name].label if name in form.fields else ''} {' '.join(texts)}".strip()
        for name, texts in form.errors.items()
    ]
    if set(error.errors) != {"name"}:
        return {}, words
    form.cleaned_data["name"] = "unnamed"
    return drafts.clean(form.spec(), actor=user), words


def _values_of(form: DraftForm) -> dict[str, Any]:
    """What a browser would send for the form as it was drawn."""
    values: dict[str, Any] = {}
    for bound in form:
        value = bound.value()
        if hasattr(value, "_meta"):
            value = bound.field.prepare_value(value)
        if value not in (None, False):
            values[bound.name] = value
    return values


def _start(cluster: Any) -> str:
    if cluster is None:
        return "on the first cluster that has a free slot"
    free = cluster.capacity.get("slots", {}).get("free", 0)
    if cluster.is_silent():
        return f"once {cluster.name} is heard again"
    return (
        f"now, {free} slots free on {cluster.name}"
        if free
        else f"when {cluster.name} has a free slot"
    )
