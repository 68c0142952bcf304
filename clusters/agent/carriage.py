"""What the agent needs of a carrier: exchanges, and files that travel on their own.

`client.Connection` is the carrier `https`. Each object serves one thread; `abort` may be called
from any.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, Protocol, runtime_checkable


class Carriage(Protocol):
    def exchange(self, document: Mapping[str, Any], *, wait_s: float) -> dict[str, Any] | None:
        """Return the portal's reply, None where a newer exchange released this one.

        Raises Unreachable, Refused and BadDocument.
        """

    def download(self, run: str, name: str, target: BinaryIO, *, limit: int) -> int:
        """Write a staged file to `target`, return its size. Raises Unreachable, Refused."""

    def upload(
        self, run: str, attempt: int, name: str, source: BinaryIO, *, size: int, sha256: str
    ) -> None:
        """Send a retrieved file. Raises Unreachable and Refused."""

    def download_model(
        self, replica: str, name: str, target: BinaryIO, *, limit: int, have: int = 0
    ) -> int:
        """Let a model's file grow from `have` bytes on; return the bytes that came. Where all of it
        comes again, `target` is emptied first. Raises Unreachable, Refused.
        """

    def model_environment(self, replica: str) -> dict[str, str]:
        """Return a model's secret variables. Raises Unreachable, Refused and BadDocument."""

    def abort(self) -> None:
        """Make the call in progress fail, from another thread."""

    def close(self) -> None: ...


@runtime_checkable
class BringsAgent(Protocol):
    """A carriage by which an agent can change itself."""

    def download_agent(self, target: BinaryIO, *, limit: int) -> int:
        """Write the portal's agent file to `target`. Raises Unreachable and Refused."""


OpenCarriage = Callable[[], Carriage]
