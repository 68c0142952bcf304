"""The one socket of a page or a program, /ws/live/: it names topics and is told what happens there.

It never writes the database. Before it delivers it asks again (every RECHECK_SECONDS) whether the
person may still see the topic, so that blocking, signing out and leaving a project take effect.
"""

import asyncio
import json
import logging
import time
from typing import Any

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.db import InterfaceError, OperationalError
from redis.exceptions import RedisError

from labportal.realtime import access
from labportal.realtime.access import Identity, Verdict
from labportal.realtime.topics import group_of

log = logging.getLogger(__name__)

RECHECK_SECONDS = 10.0
SIGN_IN_SECONDS = 10.0
MAX_TOPICS = 100
MAX_MESSAGE_LENGTH = 16_384

TRY_LATER = 1013
NOT_SIGNED_IN = 4401
TOO_LARGE = 4413


class LiveConsumer(AsyncWebsocketConsumer):
    """Speaks JSON.

    In: {"token"} (first, for programs; again to prolong), {"subscribe": []}, {"unsubscribe": []}.
    Out: {"subscribed", "refused"}, {"unsubscribed"}, {"topic", "events"}, {"error"}.
    """

    identity: Identity | None = None
    closing: asyncio.Task[None] | None = None

    async def dispatch(self, message: dict[str, Any]) -> None:
        """Handle a message; without the database or Redis ask the other end to come back later."""
        try:
            await super().dispatch(message)
        except (OperationalError, InterfaceError, RedisError) as problem:
            log.warning("a live socket is closed: %s", type(problem).__name__)
            await self.close(TRY_LATER)

    async def connect(self) -> None:
        self.checked_at: dict[str, float] = {}
        session = self.scope.get("session")
        user = self.scope.get("user")
        if user is not None and session is not None:
            # The session is loaded lazily and would query in the event loop.
            self.identity = await database_sync_to_async(_identify)(user, session)
        await self.accept()
        if self.identity is None:
            self.closing = asyncio.create_task(self._close_unless_signed_in())

    async def disconnect(self, code: int) -> None:
        if self.closing is not None:
            self.closing.cancel()
        for topic in list(self.checked_at):
            await self._leave(topic)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if text_data is None or len(text_data) > MAX_MESSAGE_LENGTH:
            await self.close(TOO_LARGE)
            return
        message = _parse(text_data)
        if message is None:
            await self._say({"error": "Expected a JSON object."})
            return
        if "token" in message and not await self._sign_in(message["token"]):
            return
        if self.identity is None:
            await self.close(NOT_SIGNED_IN)
            return
        if "subscribe" in message:
            await self._subscribe(_names(message["subscribe"]))
        if "unsubscribe" in message:
            await self._unsubscribe(_names(message["unsubscribe"]))

    async def realtime_events(self, message: dict[str, Any]) -> None:
        """Deliver what events.publish sent, if the person may still see it."""
        topic = message["topic"]
        if topic not in self.checked_at or self.identity is None:
            return
        if time.monotonic() - self.checked_at[topic] >= RECHECK_SECONDS:
            verdict = await database_sync_to_async(access.judge)(self.identity, topic)
            if verdict is Verdict.SIGNED_OUT:
                await self.close(NOT_SIGNED_IN)
                return
            if verdict is Verdict.HIDDEN:
                await self._leave(topic)
                await self._say({"subscribed": [], "refused": [topic]})
                return
            self.checked_at[topic] = time.monotonic()
        await self._say({"topic": topic, "events": message["events"]})

    async def _sign_in(self, raw: object) -> bool:
        found = None
        if isinstance(raw, str):
            found = await database_sync_to_async(access.by_token)(raw)
        mine = self.identity
        if found is None or (mine is not None and found.user_id != mine.user_id):
            await self.close(NOT_SIGNED_IN)
            return False
        self.identity = found
        if self.closing is not None:
            self.closing.cancel()
        return True

    async def _subscribe(self, wanted: list[str]) -> None:
        new = [topic for topic in wanted if topic not in self.checked_at]
        room = max(0, MAX_TOPICS - len(self.checked_at))
        judged = await database_sync_to_async(access.judge_all)(self.identity, new[:room])
        if judged is None:
            await self.close(NOT_SIGNED_IN)
            return
        for topic in [topic for topic, allowed in judged.items() if allowed]:
            await self.channel_layer.group_add(group_of(topic), self.channel_name)
            self.checked_at[topic] = time.monotonic()
        await self._say(
            {
                "subscribed": [topic for topic in wanted if topic in self.checked_at],
                "refused": [topic for topic in wanted if topic not in self.checked_at],
            }
        )

    async def _unsubscribe(self, names: list[str]) -> None:
        for topic in names:
            if topic in self.checked_at:
                await self._leave(topic)
        await self._say({"unsubscribed": names})

    async def _leave(self, topic: str) -> None:
        self.checked_at.pop(topic, None)
        await self.channel_layer.group_discard(group_of(topic), self.channel_name)

    async def _say(self, document: dict[str, Any]) -> None:
        await self.send(text_data=json.dumps(document, separators=(",", ":")))

    async def _close_unless_signed_in(self) -> None:
        await asyncio.sleep(SIGN_IN_SECONDS)
        if self.identity is None:
            await self.close(NOT_SIGNED_IN)


def _identify(user: Any, session: Any) -> Identity | None:
    return access.by_session(user, session.session_key)


def _parse(text: str) -> dict[str, Any] | None:
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) else None


def _names(value: object) -> list[str]:
    """Read a list of topics, each once; whatever is no text is left out."""
    if not isinstance(value, list):
        return []
    return list(dict.fromkeys(name for name in value if isinstance(name, str)))
