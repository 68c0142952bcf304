"""The one ASGI application: sockets, held exchanges and calls of models wait natively, the rest
runs in threads.

The threads keep their database connections, which is why Django is served as WSGI on the same port.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from a2wsgi import WSGIMiddleware

from labportal.wsgi import application as web  # first: it sets Django up

# isort: split
from django.conf import settings

from clusters.agent.protocol import EXCHANGE_PATH
from clusters.transports.https import exchange_app
from labportal.routing import websocket
from mlmodels.proxy import app as proxy

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_in_threads = WSGIMiddleware(web, workers=settings.THREADS)


async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await websocket(scope, receive, send)
    elif scope["type"] == "lifespan":
        await _lifespan(receive, send)
    elif scope["path"] == EXCHANGE_PATH:
        await exchange_app(scope, receive, send)
    elif path := proxy.match(scope["path"]):
        await proxy.proxy_app(scope, receive, send, path)
    else:
        await _in_threads(scope, receive, send)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            _in_threads.executor.shutdown(wait=False, cancel_futures=True)
            await proxy.stop()
            await send({"type": "lifespan.shutdown.complete"})
            return
