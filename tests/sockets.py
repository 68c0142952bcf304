"""A browser's or a program's end of the live socket, for the tests of every app."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.conf import settings
from django.db import connections
from django.test import Client

from labportal.accounts.models import User
from labportal.routing import websocket

PATIENCE_S = 5
SILENCE_S = 0.3


class Socket(ApplicationCommunicator):
    """Speaks JSON with /ws/live/. `origin` is what a browser names, None for a program."""

    def __init__(
        self,
        *,
        session: str = "",
        origin: str | None = "http://testserver",
        path: str = "/ws/live/",
    ) -> None:
        headers = [(b"host", b"testserver")]
        if origin is not None:
            headers.append((b"origin", origin.encode()))
        if session:
            headers.append((b"cookie", f"{settings.SESSION_COOKIE_NAME}={session}".encode()))
        scope = {
            "type": "websocket",
            "path": path,
            "query_string": b"",
            "headers": headers,
            "subprotocols": [],
        }
        super().__init__(websocket, scope)

    async def connect(self) -> bool:
        """Return whether the portal accepted."""
        await self.send_input({"type": "websocket.connect"})
        return (await self.receive_output(PATIENCE_S))["type"] == "websocket.accept"

    async def send(self, document: Any) -> None:
        text = document if isinstance(document, str) else json.dumps(document)
        await self.send_input({"type": "websocket.receive", "text": text})

    async def hear(self) -> dict[str, Any]:
        output = await self.receive_output(PATIENCE_S)
        assert output["type"] == "websocket.send", output
        return json.loads(output["text"])

    async def say(self, **document: Any) -> dict[str, Any]:
        """Send and return the answer."""
        await self.send(document)
        return await self.hear()

    async def hears_nothing(self) -> bool:
        return await self.receive_nothing(SILENCE_S)

    async def close_code(self) -> int:
        output = await self.receive_output(PATIENCE_S)
        assert output["type"] == "websocket.close", output
        return output["code"]

    async def disconnect(self) -> None:
        await self.send_input({"type": "websocket.disconnect", "code": 1000})
        await self.wait(PATIENCE_S)


@pytest.fixture
async def no_connection_left() -> AsyncIterator[None]:
    """Close the database connections of the event loop's threads, which outlive the test."""
    yield
    await sync_to_async(connections.close_all)()


async def browser(user: User) -> Socket:
    """Return the connected socket of a browser in which `user` is signed in."""
    client = Client()
    await sync_to_async(client.force_login)(user)
    socket = Socket(session=client.session.session_key)
    assert await socket.connect()
    return socket
