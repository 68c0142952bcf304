"""What admins decide about the queue beside the lab's settings: licences, shares of projects."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from clusters.models import Licence
from clusters.services.clusters import ask_for_placement
from labportal.accounts.models import Project, User
from labportal.accounts.roles import Can, require
from labportal.audit.services import record
from labportal.common.errors import InvalidInput


@transaction.atomic
def add_licence(*, name: str, seats: int, actor: User) -> Licence:
    """Raises InvalidInput, also where the name is taken."""
    require(actor, Can.MANAGE_CLUSTERS)
    licence = Licence(name=name.strip(), seats=seats)
    if set(licence.name) & set(":,") or any(c.isspace() for c in licence.name):
        raise InvalidInput("must hold no space, comma or colon, such as matlab", field="name")
    _check(licence)
    try:
        with transaction.atomic():
            licence.save()
    except IntegrityError:
        raise InvalidInput("There is a licence of this name already.", field="name") from None
    record(actor, "licence.add", target=licence.name, detail={"seats": seats})
    ask_for_placement()
    return licence


@transaction.atomic
def change_licence(licence: Licence, *, seats: int, actor: User) -> None:
    """Fewer seats than are taken: what runs goes on."""
    require(actor, Can.MANAGE_CLUSTERS)
    before, licence.seats = licence.seats, seats
    _check(licence)
    licence.save(update_fields=["seats"])
    record(actor, "licence.change", target=licence.name, detail={"seats": [before, seats]})
    ask_for_placement()


@transaction.atomic
def remove_licence(licence: Licence, *, actor: User) -> None:
    """From then on nobody counts it: runs that ask for it no longer wait for a seat."""
    require(actor, Can.MANAGE_CLUSTERS)
    licence.delete()
    record(actor, "licence.remove", target=licence.name)
    ask_for_placement()


@transaction.atomic
def set_shares(project: Project, *, shares: int, actor: User) -> None:
    """Say how much of the clusters is due to a project, against the shares of the others."""
    require(actor, Can.MANAGE_SETTINGS)
    before, project.shares = project.shares, shares
    _check(project, only="shares")
    project.save(update_fields=["shares"])
    record(actor, "project.shares", target=project.name, detail={"shares": [before, shares]})


def _check(row: Licence | Project, *, only: str = "") -> None:
    try:
        if only:
            row.clean_fields(exclude=[f.name for f in row._meta.fields if f.name != only])
        else:
            row.full_clean(validate_unique=False)
    except ValidationError as error:
        errors = {name: " ".join(texts) for name, texts in error.message_dict.items()}
        raise InvalidInput(errors=errors) from None
