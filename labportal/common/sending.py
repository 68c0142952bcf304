"""What can be sent to a model from another app's page, without either app importing the other.

An app registers its kind of thing in AppConfig.ready(): how one is found for a person and what it
holds. Whoever takes it (mlmodels) names it by a key, "structure:12", and stores that key with the
answer; the page of the thing asks by a panel for what was answered about it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from labportal.common.errors import NotFound

MOST_KEY = 80


@dataclass(frozen=True, slots=True)
class Subject:
    """`values` are what a model's input may ask for by name, as JSON has them; `aliases` are other
    names of the same ones. `texts` writes it as a file, by content type.
    """

    key: str
    title: str
    url: str
    values: Mapping[str, Any]
    aliases: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, Callable[[], str]] = field(default_factory=dict)


#: `find(user, id)` is the thing if the person may see it, else None; `visible(user, ids)` tells
#: which of many they may see, in one query; `named(id)` gives its short name and its page, without
#: asking whether it is there.
Find = Callable[[Any, str], Subject | None]
Visible = Callable[[Any, Iterable[str]], Iterable[str]]
Named = Callable[[str], tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Kind:
    name: str
    find: Find
    visible: Visible
    named: Named


_kinds: dict[str, Kind] = {}


def register_subject(
    name: str, label: str, *, find: Find, visible: Visible, named: Named | None = None
) -> None:
    """Add a kind; registering the same name again replaces it. Without `named` it has no page."""
    _kinds[name] = Kind(name, find, visible, named or (lambda ident: (f"{label} {ident}", "")))


def find_subject(user: Any, key: str) -> Subject:
    """Raises NotFound, for what is not there and for what the person may not see."""
    name, _, ident = key.partition(":")
    kind = _kinds.get(name)
    found = kind.find(user, ident) if kind and ident and len(key) <= MOST_KEY else None
    if found is None:
        raise NotFound("There is no such thing to send, or it is in a project of others.")
    return found


def visible_keys(user: Any, keys: Iterable[str]) -> frozenset[str]:
    """Those of the keys whose things the person may see; one query for each kind."""
    by_kind: dict[str, set[str]] = {}
    for key in keys:
        name, _, ident = key.partition(":")
        if name in _kinds and ident:
            by_kind.setdefault(name, set()).add(ident)
    return frozenset(
        f"{name}:{ident}"
        for name, idents in by_kind.items()
        for ident in _kinds[name].visible(user, sorted(idents))
    )


def named(key: str) -> tuple[str, str]:
    """The short name and the page of a thing; of a kind that is not known the key and ""."""
    name, _, ident = key.partition(":")
    kind = _kinds.get(name)
    return kind.named(ident) if kind and ident.isdecimal() else (key, "")
