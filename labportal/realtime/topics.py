"""Which topics exist and who may watch them: each app registers its kinds in AppConfig.ready().

A topic is a text: a kind, or a kind and an id ("logs", "calculation:17"). Unknown ones are refused.
"""

import logging
from collections.abc import Callable

from labportal.accounts.models import User

log = logging.getLogger(__name__)

Authorise = Callable[[User, str], bool]

MAX_TOPIC_LENGTH = 80

_kinds: dict[str, Authorise] = {}


def register_topic(kind: str, authorise: Authorise) -> None:
    """Name a kind of topic. `authorise(user, id)` may query; the id is what the client sent."""
    _kinds[kind] = authorise


def kinds() -> frozenset[str]:
    return frozenset(_kinds)


def may_watch(user: User, topic: str) -> bool:
    """Ask the app that owns the topic; whatever it cannot answer is a no."""
    kind, _, ident = topic.partition(":")
    authorise = _kinds.get(kind)
    if authorise is None or len(topic) > MAX_TOPIC_LENGTH or not topic.isascii():
        return False
    try:
        return bool(authorise(user, ident))
    except (ValueError, LookupError, TypeError):
        log.debug("topic %r could not be judged", topic, exc_info=True)
        return False


def group_of(topic: str) -> str:
    """The channel layer's name of a topic (its alphabet knows no colon)."""
    return f"topic.{topic.replace(':', '.')}"
