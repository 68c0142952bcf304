"""Drafts: create, change, copy and delete calculations that nobody has submitted yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, BinaryIO

from django.db import transaction
from django.db.models import QuerySet

from calculations.models import Calculation, Event, InputFile, Structure
from calculations.services import asking, doubt, pseudo_families, pseudopotentials, structures
from calculations.services.retries import MOST_RETRIES
from calculations.services.sweeps import clean_sweep, count_of, swept_names
from calculations.software.base import InvalidAnalyses, Software
from calculations.software.graph import completed, order_analyses, suited
from calculations.software.parameters import InvalidParameters
from calculations.software.registry import UnknownSoftware, get_software
from calculations.states import CalculationState
from labportal.accounts.models import Project, User
from labportal.accounts.roles import Can, can, require
from labportal.common.clock import now
from labportal.common.errors import InvalidInput, NotAllowed, TooLarge, WrongMoment
from labportal.common.storage import storage
from labportal.realtime.events import publish

BIN_DAYS = 30
BIN_BATCH = 500
MAX_INPUT_FILES = 50
MAX_INPUT_FILE = 256 * 1024 * 1024
PRIORITIES = (-100, 100)


@dataclass(frozen=True, slots=True)
class DraftSpec:
    """What a scientist may say about a calculation; checked by `clean`."""

    project: Project
    name: str
    software: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    sweep: Mapping[str, Any] | None = None
    analyses: Sequence[str] | None = None  # None: the plug-in's usual ones
    complete: bool = False  # whether what the analyses require is added
    cluster: Any = None
    cores: int = 1
    memory_mib: int = 1024
    walltime_s: int = 600
    nodes: int = 1
    tasks: int = 0  # as the program wants
    gpus: int = 0
    gpu_type: str = ""
    partition: str = ""
    account: str = ""
    qos: str = ""
    licences: Sequence[str] = ()  # "matlab:2"
    exclusive: bool = False
    priority: int = 0
    description: str = ""
    keep_files: bool = False
    automatic_retries: int = 0
    pseudo_family: str | None = None  # of the library; "": own files, None: leave them as they are
    copied_from: Calculation | None = None
    structure: Structure | None = None  # of the library; its atoms replace those of `parameters`


def clusters() -> QuerySet:
    """All clusters, reached through the foreign key: this floor does not import the one below."""
    return Calculation._meta.get_field("cluster").related_model._default_manager.all()


def clean(spec: DraftSpec, *, actor: User) -> dict[str, Any]:
    """Return the columns of a draft. Raises InvalidInput with every field's error at once."""
    errors: dict[str, str] = {}
    if not spec.name.strip():
        errors["name"] = "is needed; say in a few words what this calculation is"
    elif len(spec.name) > 200:
        errors["name"] = "is too long; at most 200 characters"
    errors |= asking.problems(asking.resources_of(spec), cluster=spec.cluster)
    least, most = PRIORITIES
    if not least <= spec.priority <= most:
        errors["priority"] = f"must be between {least} and {most}"
    elif spec.priority > 0 and not can(actor, Can.PRIORITISE):
        errors["priority"] = "above 0 is given by moderators; use 0 or less"
    try:
        software = get_software(spec.software)
        if not software.offered and not can(actor, Can.MANAGE_CLUSTERS):
            raise UnknownSoftware(spec.software)
    except UnknownSoftware as error:
        raise InvalidInput(errors={**errors, "software": str(error)}) from None
    if not 0 <= spec.automatic_retries <= MOST_RETRIES:
        errors["automatic_retries"] = f"must be between 0 and {MOST_RETRIES}"
    elif spec.automatic_retries and not software.retried:
        errors["automatic_retries"] = f"{software.label} advises no changes; use 0"
    science = _clean_science(spec, software, errors, actor)
    if errors:
        raise InvalidInput(errors=errors)
    return {
        "project": spec.project,
        "name": spec.name.strip(),
        "description": spec.description,
        "software": software.name,
        "software_version": software.version,
        "cluster": spec.cluster,
        "keep_files": spec.keep_files,
        "automatic_retries": spec.automatic_retries,
        "copied_from": spec.copied_from,
        "priority": spec.priority,
        **asking.columns(spec),
        **science,
        "run_count": count_of(science["sweep"]),
    }


def _clean_science(
    spec: DraftSpec, software: Software, errors: dict[str, str], actor: User
) -> dict[str, Any]:
    parameters: dict[str, Any] = {}
    sweep = None
    try:
        given = {**spec.parameters, **_structure_parameters(spec, software)}
        parameters = software.check(given)
        sweep = clean_sweep(software, parameters, spec.sweep, project=spec.project, actor=actor)
    except InvalidParameters as error:
        errors.update({f"parameters.{name}": text for name, text in error.errors.items()})
    except InvalidInput as error:
        errors.update(error.errors)
    analyses: list[str] = []
    try:
        analyses = _clean_analyses(spec, software, parameters, sweep)
    except InvalidAnalyses as error:
        errors["analyses"] = str(error)
    chosen = spec.structure or _inherited(spec, software, parameters)
    return {"parameters": parameters, "sweep": sweep, "analyses": analyses, "structure": chosen}


def _inherited(
    spec: DraftSpec, software: Software, parameters: Mapping[str, Any]
) -> Structure | None:
    """The structure of what this is a copy of, where the copy has kept its atoms."""
    source = spec.copied_from
    if not parameters or source is None or source.structure is None:
        return None
    same = structures.still_describes(source.structure, software, parameters)
    return source.structure if same else None


def _structure_parameters(spec: DraftSpec, software: Software) -> dict[str, Any]:
    if spec.structure is None:
        return {}
    found = software.structure_parameters(structures.atoms_of(spec.structure))
    if not found:
        raise InvalidInput(f"{software.label} takes no structure; leave it out", field="structure")
    return found


def _clean_analyses(
    spec: DraftSpec,
    software: Software,
    parameters: Mapping[str, Any],
    sweep: Mapping[str, Any] | None,
) -> list[str]:
    """Return the analyses in the order in which they are executed. Raises InvalidAnalyses."""
    if spec.analyses is None:
        return suited(software.analyses, parameters, swept_names(sweep)) if parameters else []
    arrange = completed if spec.complete else order_analyses
    return [analysis.name for analysis in arrange(software.analyses, spec.analyses)]


def create(spec: DraftSpec, *, actor: User) -> Calculation:
    return create_all([spec], actor=actor)[0]


@transaction.atomic
def create_all(specs: Iterable[DraftSpec], *, actor: User) -> list[Calculation]:
    """Create all drafts or none. Raises InvalidInput; the field names carry the position where
    there are several.
    """
    require(actor, Can.CREATE_CALCULATION)
    specs = list(specs)
    columns: list[dict[str, Any]] = []
    for position, spec in enumerate(specs):
        try:
            columns.append(clean(spec, actor=actor))
        except InvalidInput as error:
            if len(specs) == 1:
                raise
            raise InvalidInput(
                errors={f"{position}.{k}": v for k, v in error.errors.items()}
            ) from None
    moment = now()
    drafts = [
        Calculation(created_by=actor, created_at=moment, state_since=moment, **c) for c in columns
    ]
    structures.link(drafts, actor=actor)
    Calculation.objects.bulk_create(drafts)
    doubt.inherit(drafts)
    _take_pseudopotentials(zip(drafts, specs, strict=True))
    Event.objects.bulk_create(
        Event(
            calculation=draft,
            at=moment,
            verb="create",
            source="",
            target=CalculationState.DRAFT,
            actor=actor,
            actor_label=actor.display_name,
            note=f"copied from {draft.copied_from.number}" if draft.copied_from else "",
        )
        for draft in drafts
    )
    return drafts


@transaction.atomic
def change(calculation: Calculation, spec: DraftSpec, *, actor: User) -> Calculation:
    """Replace a draft's content. Raises WrongMoment once it was submitted."""
    require(actor, Can.CREATE_CALCULATION)
    _lock_draft(calculation)
    columns = clean(replace(spec, copied_from=calculation), actor=actor)
    columns.pop("copied_from")
    for name, value in columns.items():
        setattr(calculation, name, value)
    structures.link([calculation], actor=actor)
    calculation.save(update_fields=list(columns))
    doubt.inherit([calculation])
    _take_pseudopotentials([(calculation, spec)])
    return calculation


@transaction.atomic
def delete(calculation: Calculation, *, actor: User) -> None:
    """Move a draft to the bin; what was ever submitted stays as a record."""
    require(actor, Can.CREATE_CALCULATION)
    _lock_draft(calculation)
    if calculation.events.filter(verb="submit").exists():
        raise WrongMoment(f"{calculation.number} was submitted once and stays on record.")
    if calculation.created_by_id != actor.pk and not can(actor, Can.REVIEW):
        raise NotAllowed("Only its author or a moderator deletes a draft.")
    calculation.deleted_at = now()
    calculation.save(update_fields=["deleted_at"])
    publish(f"project:{calculation.project_id}", "calculation.changed", {"id": calculation.pk})


@transaction.atomic
def restore(calculation: Calculation, *, actor: User) -> None:
    """Take a draft out of the bin."""
    require(actor, Can.CREATE_CALCULATION)
    if calculation.created_by_id != actor.pk and not can(actor, Can.REVIEW):
        raise NotAllowed("Only its author or a moderator takes a draft out of the bin.")
    calculation.deleted_at = None
    calculation.save(update_fields=["deleted_at"])
    publish(f"project:{calculation.project_id}", "calculation.changed", {"id": calculation.pk})


def empty_bin() -> int:
    """Delete for good, with their files, the drafts that lie in the bin for BIN_DAYS."""
    before = now() - timedelta(days=BIN_DAYS)
    with transaction.atomic():
        old = Calculation.objects.select_for_update().filter(deleted_at__lt=before)[:BIN_BATCH]
        gone = [draft.pk for draft in old]
        files = InputFile.objects.filter(calculation__in=gone)
        keys = list(files.values_list("key", flat=True))
        Calculation.objects.filter(pk__in=gone).delete()
        _forget(keys)
    return len(gone)


@transaction.atomic
def duplicate(calculation: Calculation, *, actor: User) -> Calculation:
    """Return a new draft with the same content and input files (stored once)."""
    spec = DraftSpec(
        project=calculation.project,
        name=f"{calculation.name[:190]} (copy)",
        description=calculation.description,
        software=calculation.software,
        parameters=calculation.parameters,
        sweep=calculation.sweep,
        analyses=calculation.analyses,
        cluster=calculation.cluster,
        **asking.columns(calculation),
        automatic_retries=calculation.automatic_retries,
        copied_from=calculation,
    )
    copy = create(spec, actor=actor)
    copy_files(calculation, copy)
    return copy


def copy_files(source: Calculation, target: Calculation) -> None:
    InputFile.objects.bulk_create(
        InputFile(calculation=target, name=f.name, size=f.size, sha256=f.sha256, key=f.key)
        for f in source.input_files.all()
    )


class _AtMost:
    """Reads a stream up to the most that a file may hold. Raises TooLarge beyond it."""

    def __init__(self, content: BinaryIO) -> None:
        self._content, self._left = content, MAX_INPUT_FILE

    def read(self, amount: int = -1) -> bytes:
        chunk = self._content.read(amount)
        self._left -= len(chunk)
        if self._left < 0:
            raise TooLarge(f"A file is at most {MAX_INPUT_FILE // 2**20} MiB.")
        return chunk


def attach(calculation: Calculation, name: str, content: BinaryIO, *, actor: User) -> InputFile:
    """Store an input file of a draft; one of the same name is replaced.

    A slow sender holds no lock: the file is stored first and recorded where all is still well then.
    """
    require(actor, Can.CREATE_CALCULATION)
    check_file_name(name)
    with transaction.atomic():
        _check_room(calculation, name)
    key = f"inputs/{calculation.pk}/{int(now().timestamp() * 1e6)}-{name}"
    size, sha256 = storage().save(key, _AtMost(content))
    try:
        pseudopotentials.check_upload(name, key)
        with transaction.atomic():
            _check_room(calculation, name)
            before = list(calculation.input_files.filter(name=name).values_list("key", flat=True))
            stored, _ = InputFile.objects.update_or_create(
                calculation=calculation,
                name=name,
                defaults={"size": size, "sha256": sha256, "key": key},
            )
            _forget(before)
    except BaseException:
        storage().delete(key)
        raise
    return stored


def _check_room(calculation: Calculation, name: str) -> None:
    _lock_draft(calculation)
    if calculation.input_files.exclude(name=name).count() >= MAX_INPUT_FILES:
        raise InvalidInput(errors={"files": f"at most {MAX_INPUT_FILES} files; delete one first"})


@transaction.atomic
def detach(calculation: Calculation, name: str, *, actor: User) -> None:
    require(actor, Can.CREATE_CALCULATION)
    _lock_draft(calculation)
    files = calculation.input_files.filter(name=name)
    keys = list(files.values_list("key", flat=True))
    files.delete()
    _forget(keys)


def _take_pseudopotentials(pairs: Iterable[tuple[Calculation, DraftSpec]]) -> None:
    """Stage the files of the families that were chosen, in a fixed number of queries."""
    chosen = [(c, s.pseudo_family) for c, s in pairs if s.pseudo_family is not None]
    if chosen:
        known = {c.pk: get_software(c.software) for c, _ in chosen}
        pseudo_families.stage(chosen, software_of=known)


def _forget(keys: Sequence[str]) -> None:
    """Delete stored files that nothing names any more (copies and the library share them)."""
    pseudopotentials.forget(keys)


def check_file_name(name: str) -> None:
    """Raises InvalidInput unless `name` is a plain file name that is safe on every file system."""
    plain = name and len(name) <= 120 and not name.startswith((".", "-"))
    if not plain or any(c in '/\\:*?"<>|' or not c.isprintable() for c in name):
        raise InvalidInput(
            errors={"files": f"{name!r:.80} is not a plain file name; rename the file"}
        )


def _lock_draft(calculation: Calculation) -> None:
    state = (
        Calculation.objects.select_for_update(of=("self",), no_key=True)
        .values_list("state", flat=True)
        .get(pk=calculation.pk)
    )
    if state != CalculationState.DRAFT:
        raise WrongMoment(
            f"{calculation.number} was submitted and can no longer be changed; duplicate it."
        )
