"""What happens to a calculation, while it happens: by the portal's live socket, and by asking again
and again where there is none.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from labportal.client.errors import NotSignedIn
from labportal.client.transport import Transport

PLACE = "/ws/live/"
POLL_S = 2.0
QUIET_S = 20.0  # news that was lost is asked for after so long
OPEN_S = 10.0
SIGN_IN_AGAIN = 4401

Event = dict[str, Any]


class Lost(Exception):
    """The socket is gone, or there never was one."""


class Socket:
    """Signed in by the first message; hears the topics until it is closed."""

    def __init__(self, transport: Transport, topics: list[str]) -> None:
        try:
            from websockets.exceptions import WebSocketException
            from websockets.sync.client import connect
        except ImportError:
            raise Lost("websockets is not installed") from None
        self._broken = (WebSocketException, OSError, ValueError, KeyError)
        url = transport.profile.url.replace("http", "ws", 1) + PLACE
        self._open = contextlib.ExitStack()
        try:
            opened = connect(url, open_timeout=OPEN_S, close_timeout=1)
            self._socket = self._open.enter_context(opened)
            self._socket.send(json.dumps({"token": transport.token(), "subscribe": topics}))
            answer = json.loads(self._socket.recv(OPEN_S))
            if set(topics) - set(answer["subscribed"]):
                raise Lost(f"{topics} may not be watched")
        except TimeoutError:
            self.close()
            raise Lost("no answer") from None
        except (Lost, *self._broken) as error:
            self.close()
            raise Lost(str(error)) from None

    def hear(self, seconds: float) -> list[Event]:
        """Return the next events, none where nothing came in time. Raises Lost."""
        try:
            return list(json.loads(self._socket.recv(seconds)).get("events", ()))
        except TimeoutError:
            return []
        except self._broken as error:
            raise Lost(str(error)) from None

    def close(self) -> None:
        with contextlib.suppress(TimeoutError, *self._broken):
            self._open.close()


def events(
    transport: Transport, topics: list[str], *, sleep: Callable[[float], None] = time.sleep
) -> Iterator[list[Event]]:
    """Yield events as they come, and an empty list whenever it is time to look for oneself.

    Never ends; the caller stops when it has seen enough. A lost socket is opened again.
    """
    while True:
        try:
            socket = Socket(transport, topics)
        except Lost:
            yield []
            sleep(POLL_S)
            continue
        try:
            yield []  # what happened before the socket was open
            while True:
                yield socket.hear(QUIET_S)
        except (Lost, NotSignedIn):
            sleep(POLL_S)
        finally:
            socket.close()
