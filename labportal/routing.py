"""Who answers on a socket. Sign-in is the session's cookie for browsers, a token for programs."""

from collections.abc import Awaitable, Callable
from typing import Any

from channels.auth import AuthMiddlewareStack
from channels.routing import URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.urls import path

from labportal.realtime.consumers import LiveConsumer

Application = Callable[..., Awaitable[None]]

_sockets = URLRouter([path("ws/live/", LiveConsumer.as_asgi())])
_for_browsers = AllowedHostsOriginValidator(AuthMiddlewareStack(_sockets))


async def websocket(scope: dict[str, Any], receive: Application, send: Application) -> None:
    """Check the origin of browsers, which always name it; a program has none, nor a cookie."""
    if any(name == b"origin" for name, _ in scope["headers"]):
        await _for_browsers(scope, receive, send)
    elif scope["path"] == "/ws/live/":
        await _sockets(scope, receive, send)
    else:
        await send({"type": "websocket.close", "code": 4404})
