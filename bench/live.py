"""Waits for the end of calculations on the portal's live socket, as a page does."""

from __future__ import annotations

import json
import time
from typing import Any

from websockets.sync.client import connect

TERMINAL = frozenset({"valid", "not_valid", "failed", "cancelled"})


class Watcher:
    """`ended` holds the final state of each calculation of the watched project."""

    def __init__(self, url: str, token: str, project_id: int) -> None:
        self._socket = connect(f"{url.replace('http', 'ws', 1)}/ws/live/", origin=url)
        self.ended: dict[int, str] = {}
        topic = f"project:{project_id}"
        self._socket.send(json.dumps({"token": token, "subscribe": [topic]}))
        while topic not in self._receive(10).get("subscribed", ()):
            pass

    def __enter__(self) -> Watcher:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def wait_for(self, calculation_id: int, seconds: float = 30) -> str:
        """Return the final state. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        while calculation_id not in self.ended:
            self._receive(deadline - time.monotonic())
        return self.ended[calculation_id]

    def wait_for_all(self, calculation_ids: set[int], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not calculation_ids <= self.ended.keys():
            self._receive(deadline - time.monotonic())

    def _receive(self, seconds: float) -> dict[str, Any]:
        message = json.loads(self._socket.recv(max(seconds, 0.0)))
        for event in message.get("events", ()):
            if event["type"] == "calculation.changed" and event["state"] in TERMINAL:
                self.ended[event["id"]] = event["state"]
        return message
