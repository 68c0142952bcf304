"""The body of a call as it arrives: small ones whole, large ones piece by piece, none longer or
shorter than was said, and none that keeps a replica waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from labportal.common.errors import DomainError, InvalidInput, TooLarge

WHOLE = 256 * 1024  # up to here a body is taken in before a replica is chosen
IDLE_S = 30.0
START_S = 60.0  # the time for a body: so much, and as a slow line needs for its length
SLOWEST = 64 * 1024  # bytes a second

Receive = Callable[[], Awaitable[dict[str, Any]]]


class CallerGone(Exception):
    """The caller closed the connection."""


class TooSlow(DomainError):
    status = 408
    title = "The body did not arrive in time"
    default_code = "too-slow"


class Body:
    """`length`: bytes, None while unknown; `size`: bytes so far; `whole`: the body once it is
    complete and small; `done`: whether all of it has arrived; `error`: why it did not.
    """

    def __init__(
        self,
        receive: Receive,
        length: bytes | None,
        most: int,
        copy: Callable[[bytes], Any] | None = None,
    ) -> None:
        self._receive = receive
        self._copy = copy
        self._said = int(length) if length is not None else None
        self._most = most
        self._pieces: list[bytes] = []
        self.size = 0
        self.done = False
        self.error: CallerGone | DomainError | None = None
        if self._said is not None and self._said > most:
            raise self._too_large()
        seconds = START_S + (most if self._said is None else self._said) / SLOWEST
        self._until = asyncio.get_running_loop().time() + seconds

    @property
    def length(self) -> int | None:
        return self.size if self.done else self._said

    @property
    def whole(self) -> bytes | None:
        return b"".join(self._pieces) if self.done else None

    async def begin(self) -> None:
        """Take in the body if it is small, else its beginning; raises CallerGone, DomainError."""
        while not self.done and self.size < WHOLE:
            if piece := await self._next():
                self._pieces.append(piece)

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield what has arrived and what follows; may be begun again while nothing was yielded."""
        for piece in self._pieces:
            yield piece
        self._pieces = []
        try:
            while not self.done:
                if piece := await self._next():
                    yield piece
        except (CallerGone, DomainError) as error:
            self.error = error
            raise

    async def _next(self) -> bytes:
        message = await self._message()
        if message["type"] == "http.disconnect":
            raise CallerGone
        piece: bytes = message.get("body", b"")
        self.size += len(piece)
        self.done = not message.get("more_body", False)
        if self.size > self._most:
            raise self._too_large()
        if self._said is not None and (
            self.size > self._said or (self.done and self.size < self._said)
        ):
            raise InvalidInput("The body is not as long as Content-Length says.", code="length")
        if self._copy is not None:
            self._copy(piece)
        return piece

    async def _message(self) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(min(loop.time() + IDLE_S, self._until)):
                return await self._receive()
        except TimeoutError:
            raise TooSlow("Send the body without long pauses.") from None

    def _too_large(self) -> TooLarge:
        return TooLarge(f"The model takes bodies of at most {self._most // 2**20} MiB.")
