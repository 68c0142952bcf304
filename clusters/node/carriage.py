"""The carrier `queue` as the agent sees it: exchanges through the broker, files over HTTPS."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, BinaryIO

from clusters.agent.client import Address, Connection, Refused
from clusters.node.switchboard import Switchboard

NO_ADDRESS = (
    "files and secrets travel over the portal's own address, and this node was started without "
    "one: start it with --url https://…"
)


class QueueCarriage:
    """One line of the agent. `address` None: no files."""

    def __init__(self, board: Switchboard, address: Address | None) -> None:
        self._board = board
        self._connection = Connection(address) if address else None
        self._aborted = threading.Event()

    def exchange(self, document: Mapping[str, Any], *, wait_s: float) -> dict[str, Any] | None:
        """Return the reply; what would be held by the portal waits here for its wake-up."""
        self._aborted.clear()
        if wait_s > 0 and not self._board.idle(wait_s, self._aborted):
            return None
        return self._board.ask({**document, "wait_s": 0}, self._aborted)

    def download(self, run: str, name: str, target: BinaryIO, *, limit: int) -> int:
        return self._files().download(run, name, target, limit=limit)

    def upload(
        self, run: str, attempt: int, name: str, source: BinaryIO, *, size: int, sha256: str
    ) -> None:
        self._files().upload(run, attempt, name, source, size=size, sha256=sha256)

    def download_model(
        self, replica: str, name: str, target: BinaryIO, *, limit: int, have: int = 0
    ) -> int:
        return self._files().download_model(replica, name, target, limit=limit, have=have)

    def model_environment(self, replica: str) -> dict[str, str]:
        """Secrets, too, travel to the portal's own address: no broker sees them."""
        return self._files().model_environment(replica)

    def _files(self) -> Connection:
        if self._connection is None:
            raise Refused(501, {"detail": NO_ADDRESS})
        return self._connection

    def abort(self) -> None:
        self._aborted.set()
        self._board.rouse()
        if self._connection is not None:
            self._connection.abort()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
