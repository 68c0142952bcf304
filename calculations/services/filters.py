"""Saved filters of lists, of calculations and of results: each person's own, found by name."""

from __future__ import annotations

from urllib.parse import urlencode

from django.db import transaction
from django.http import QueryDict

from calculations.findings.asking import read
from calculations.findings.catalogue import catalogue
from calculations.models import SavedFilter
from calculations.selectors import Filters
from labportal.accounts.models import User
from labportal.accounts.roles import Can, require
from labportal.common.errors import InvalidInput, NotFound, WrongMoment

MOST = 20


def query_of(filters: Filters, sort: str = "") -> str:
    """Write filters and order of the list of calculations the one way in which they are saved and
    compared.
    """
    return urlencode(filters.active() | ({"sort": sort} if sort else {}))


def written(page: str, text: str, *, actor: User) -> str:
    """Write a query as its page does; "" where it narrows nothing."""
    query = QueryDict(text)
    if page == SavedFilter.Page.ANALYSES:
        return read(query, query.getlist("where"), catalogue(actor)).query() if text else ""
    filters = Filters.read(query)
    return query_of(filters, query.get("sort", "")[:20]) if filters.active() else ""


@transaction.atomic
def save(
    name: str, query: str, *, actor: User, page: str = SavedFilter.Page.CALCULATIONS
) -> SavedFilter:
    """Keep the page's query under the name; one of the same name is replaced."""
    require(actor, Can.SIGN_IN)
    name = _tidy(name)
    if not query:
        raise InvalidInput("Nothing is narrowed: there is no filter to save.", field="query")
    User.objects.select_for_update(no_key=True).get(pk=actor.pk)  # counts one after the other
    others = SavedFilter.objects.filter(user=actor, page=page).exclude(name=name)
    if others.count() >= MOST:
        raise WrongMoment(f"You have {MOST} saved filters; delete one that you no longer need.")
    saved, _ = SavedFilter.objects.update_or_create(
        user=actor, page=page, name=name, defaults={"query": query}
    )
    return saved


@transaction.atomic
def change(saved: SavedFilter, *, name: str, is_default: bool, actor: User) -> SavedFilter:
    """Rename; the default is the one with which its list opens, and the only one of its page."""
    saved = own(saved.pk, actor=actor)
    name = _tidy(name)
    User.objects.select_for_update(no_key=True).get(pk=actor.pk)
    others = SavedFilter.objects.filter(user=actor, page=saved.page).exclude(pk=saved.pk)
    if others.filter(name=name).exists():
        raise InvalidInput(f"Another filter is called “{name}”; choose a new name.", field="name")
    if is_default:
        others.filter(is_default=True).update(is_default=False)
    saved.name, saved.is_default = name, is_default
    saved.save(update_fields=["name", "is_default"])
    return saved


def delete(filter_id: int, *, actor: User) -> SavedFilter:
    saved = own(filter_id, actor=actor)
    saved.delete()
    return saved


def own(filter_id: int, *, actor: User) -> SavedFilter:
    """Raises NotFound for what is not the person's own."""
    require(actor, Can.SIGN_IN)
    saved = SavedFilter.objects.filter(user=actor, pk=filter_id).first()
    if saved is None:
        raise NotFound("There is no such saved filter of yours.", code="no-filter")
    return saved


def _tidy(name: str) -> str:
    name = " ".join(name.replace("\0", "").split())
    if not name or len(name) > SavedFilter._meta.get_field("name").max_length:
        raise InvalidInput("A saved filter needs a name of 1 to 60 characters.", field="name")
    return name
