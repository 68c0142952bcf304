"""The coordinator's side of the store through which ranks tell one another their addresses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from calculations.software.torch_inference.program.channel import Message

MOST_KEYS = 1_000_000
Answer = Callable[[Message, bytes], None]


class Store:
    """Questions that wait for keys are answered once all of them are there."""

    def __init__(self) -> None:
        self._values: dict[str, bytes] = {}
        self._waiting: list[tuple[Message, Answer]] = []

    def ask(self, message: Message, body: bytes, answer: Answer) -> None:
        op, keys = str(message.get("op")), [str(key) for key in message.get("keys", ())]
        if op in ("get", "wait"):
            self._waiting.append((message, answer))
            self._settle()
            return
        value, found = self._do(op, keys, message, body)
        answer({"t": "stored", "id": message.get("id"), "value": value}, found)
        if op in ("set", "add", "append", "compare_set"):
            self._settle()

    def abandon(self) -> None:
        """Answer every question that still waits by a no."""
        waiting, self._waiting = self._waiting, []
        for message, answer in waiting:
            answer({"t": "stored", "id": message.get("id"), "error": "a rank is gone"}, b"")

    def _do(self, op: str, keys: list[str], message: Message, body: bytes) -> tuple[Any, bytes]:
        values, key = self._values, keys[0] if keys else ""
        if len(values) >= MOST_KEYS and key not in values:
            return None, b""
        if op == "set":
            values[key] = body
        elif op == "append":
            values[key] = values.get(key, b"") + body
        elif op == "add":
            total = int(values.get(key, b"0")) + int(message["amount"])
            values[key] = str(total).encode()
            return total, b""
        elif op == "delete":
            return values.pop(key, None) is not None, b""
        elif op == "check":
            return all(name in values for name in keys), b""
        elif op == "count":
            return sum(name.startswith(key) for name in values), b""
        elif op == "compare_set":
            expected = str(message.get("expected", "")).encode("latin-1")
            if values.get(key, b"") == expected:
                values[key] = body
            return None, values.get(key, expected)
        return None, b""

    def _settle(self) -> None:
        left = []
        for message, answer in self._waiting:
            keys = [str(key) for key in message.get("keys", ())]
            if all(key in self._values for key in keys):
                value = self._values[keys[0]] if message.get("op") == "get" else b""
                answer({"t": "stored", "id": message.get("id"), "value": None}, value)
            else:
                left.append((message, answer))
        self._waiting = left
