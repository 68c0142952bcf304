"""Templates: what calculations start from, kept under a name in a project.

Starting from one gives an unsaved draft and says what no longer fits; nothing is lost in silence.
"""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction

from calculations.models import Calculation, Template
from calculations.services import asking
from calculations.services.drafts import clusters
from calculations.software.parameters import InvalidParameters
from calculations.software.registry import UnknownSoftware, get_software
from labportal.accounts.models import Project, User
from labportal.accounts.roles import Can, can, require
from labportal.common.errors import InvalidInput, NotAllowed

MAX_NAME = 120
#: The columns of a calculation that a template keeps; its cluster is kept by name beside them.
KEPT = (
    "parameters",
    "sweep",
    "analyses",
    *asking.NAMES,
    "keep_files",
    "automatic_retries",
)


def save(calculation: Calculation, *, name: str, actor: User, description: str = "") -> Template:
    """Keep how a calculation is set up. Raises InvalidInput for a name that is empty or taken."""
    require(actor, Can.CREATE_CALCULATION)
    content: dict[str, Any] = {column: getattr(calculation, column) for column in KEPT}
    content["cluster"] = calculation.cluster.name if calculation.cluster else None
    template = Template(
        project=calculation.project,
        software=calculation.software,
        content=content,
        created_by=actor,
    )
    return _write(template, name, description)


def change(template: Template, *, name: str, description: str, actor: User) -> Template:
    """Call it differently. Raises NotAllowed for others than its author and moderators."""
    require_author(template, actor)
    return _write(template, name, description)


def delete(template: Template, *, actor: User) -> None:
    """What was started from it stays as it is."""
    require_author(template, actor)
    template.delete()


def may_change(user: User, template: Template) -> bool:
    own = template.created_by_id == user.pk and can(user, Can.CREATE_CALCULATION)
    return own or can(user, Can.REVIEW)


def require_author(template: Template, actor: User) -> None:
    if not may_change(actor, template):
        raise NotAllowed("Only its author or a moderator changes a template.")


def _write(template: Template, name: str, description: str) -> Template:
    name = " ".join(name.replace("\0", "").split())
    if not name or len(name) > MAX_NAME:
        raise InvalidInput(errors={"name": f"is needed, in at most {MAX_NAME} characters"})
    template.name, template.description = name, description.replace("\0", "").strip()[:2000]
    try:
        with transaction.atomic():
            template.save()
    except IntegrityError:
        raise InvalidInput(
            errors={"name": f"is taken: {template.project.name} has a template “{name}” already"}
        ) from None
    return template


def start(template: Template, *, project: Project | None = None) -> tuple[Calculation, list[str]]:
    """Return an unsaved draft, and in words what of the template no longer fits.

    Raises InvalidInput where its software is not there at all.
    """
    try:
        software = get_software(template.software)
    except UnknownSoftware:
        raise InvalidInput(
            f"“{template.name}” needs {template.software}, which this portal no longer has."
        ) from None
    content, problems = dict(template.content), []
    known = {parameter.name for parameter in software.parameters}
    parameters = {n: v for n, v in content.get("parameters", {}).items() if n in known}
    gone = sorted(set(content.get("parameters", {})) - known)
    if gone:
        problems.append(f"{software.label} no longer has {', '.join(gone)}: left out")
    try:
        software.check(parameters)
    except InvalidParameters as error:
        problems += [f"{name} {text}" for name, text in error.errors.items()]
    offered = {analysis.name for analysis in software.analyses}
    missing = [name for name in content.get("analyses", ()) if name not in offered]
    if missing:
        problems.append(f"the analyses {', '.join(missing)} are no longer there: left out")
    wanted = content.get("cluster")
    cluster = clusters().filter(name=wanted, enabled=True).first() if wanted else None
    if wanted and cluster is None:
        problems.append(f"the cluster {wanted} is not there or disabled: any other is taken")
    columns = {column: content[column] for column in KEPT if column in content}
    columns |= {"parameters": parameters, "cluster": cluster}
    columns["analyses"] = [name for name in content.get("analyses", ()) if name in offered]
    draft = Calculation(project=project or template.project, software=template.software, **columns)
    return draft, problems
