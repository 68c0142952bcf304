"""What stands in the navigation: apps register entries in AppConfig.ready(), the frame draws them.

Called by labportal.common.context on every page, so counts are cached some seconds. It imports no
app and must never fail a page: an entry whose URL is not there is left out, a count that cannot be
had is not shown.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.core.cache import cache
from django.urls import NoReverseMatch, reverse

log = logging.getLogger(__name__)

COUNT_SECONDS = 5


class Section(StrEnum):
    MAIN = "main"
    MODERATION = "moderation"
    ADMINISTRATION = "administration"
    BELL = "bell"  # the one entry behind the bell; its count is what is unread
    PERSON = "person"  # the menu behind the person's initials


SECTION_TITLES = {Section.MODERATION: "Moderation", Section.ADMINISTRATION: "Administration"}


def everybody(_: Any) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class NavEntry:
    """`key`: the letter that follows g. `order` sorts within a section, equal ones by label."""

    label: str
    url_name: str
    key: str = ""
    needs: Callable[[Any], bool] = everybody
    count: Callable[[Any], int] | None = None
    section: Section = Section.MAIN
    order: int = 50


@dataclass(frozen=True, slots=True)
class NavItem:
    """An entry as one person sees it on one page."""

    label: str
    url: str
    key: str
    count: int | None
    current: bool


_entries: dict[tuple[str, Section], NavEntry] = {}


def register_nav(*entries: NavEntry) -> None:
    """Add entries; registering the same one again replaces it."""
    for entry in entries:
        _entries[entry.url_name, entry.section] = entry


def items(section: Section, user: Any, path: str) -> list[NavItem]:
    """Return what `user` may see of a section, the entry of this page marked."""
    found = []
    for entry in sorted(_entries.values(), key=lambda e: (e.order, e.label)):
        if entry.section is not section or not entry.needs(user):
            continue
        try:
            url = reverse(entry.url_name)
        except NoReverseMatch:
            continue
        found.append((entry, url))
    return [
        NavItem(entry.label, url, entry.key, count_of(entry, user), _is_current(url, path))
        for entry, url in found
    ]


def count_of(entry: NavEntry, user: Any) -> int | None:
    if entry.count is None:
        return None
    name = f"nav:{entry.section}:{entry.url_name}:{user.pk}"
    try:
        return cache.get_or_set(name, lambda: entry.count(user), COUNT_SECONDS)
    except Exception:
        log.exception("the count of %s could not be had", entry.url_name)
        return None


def forget_counts(user_id: int) -> None:
    """Let the next page of this person count anew, after they changed something themselves."""
    for entry in _entries.values():
        if entry.count is not None:
            cache.delete(f"nav:{entry.section}:{entry.url_name}:{user_id}")


def _is_current(url: str, path: str) -> bool:
    return path == url if url == "/" else path.startswith(url)
