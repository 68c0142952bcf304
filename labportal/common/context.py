"""What the page frame needs on every page, as the template variable `frame`.

Named in settings as a context processor. Everything is worked out when the template asks for it,
once per page.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django.http import HttpRequest

from labportal.common import navigation
from labportal.common.navigation import NavItem, Section

SCHEMES = ("auto", "light", "dark")


class Frame:
    """The navigation, the bell and the colour scheme for one request."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        self._user = getattr(request, "user", None)

    @cached_property
    def signed_in(self) -> bool:
        return bool(self._user and self._user.is_authenticated)

    @cached_property
    def colour_scheme(self) -> str:
        chosen = getattr(self._user, "colour_scheme", "auto")
        return chosen if chosen in SCHEMES else "auto"

    @cached_property
    def sections(self) -> list[tuple[str, list[NavItem]]]:
        """The left navigation as (title, items); sections without items are left out."""
        wanted = (Section.MAIN, Section.MODERATION, Section.ADMINISTRATION)
        drawn = [
            (navigation.SECTION_TITLES.get(section, ""), self._items(section)) for section in wanted
        ]
        return [(title, items) for title, items in drawn if items]

    @cached_property
    def bell(self) -> NavItem | None:
        return next(iter(self._items(Section.BELL)), None)

    @cached_property
    def person(self) -> list[NavItem]:
        return self._items(Section.PERSON)

    @cached_property
    def initials(self) -> str:
        words = str(getattr(self._user, "display_name", "") or self._user).replace(".", " ").split()
        letters = [word[0] for word in words if word[:1].isalnum()]
        return "".join(letters[:2]).upper() or "?"

    @cached_property
    def query(self) -> str:
        """What was searched for, to stand in the search field again."""
        return self._request.GET.get("q", "")[:500]

    def _items(self, section: Section) -> list[NavItem]:
        return navigation.items(section, self._user, self._request.path) if self.signed_in else []


def frame(request: HttpRequest) -> dict[str, Any]:
    return {"frame": Frame(request)}
