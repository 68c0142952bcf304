"""Clusters of a stack with whatever stands behind them: an agent and its scheduler, for benchmarks
and chaos tests.

A site is opened once; its parts are processes of the stack, killed and started by name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from bench.stack import Stack


class Site:
    """An agent that calls the portal and runs plain processes."""

    kind = "process"
    portal_parts: tuple[str, ...] = ()  # what the portal itself needs more for such sites

    def __init__(self, stack: Stack, number: int, *, slots: int = 4, url: str = "") -> None:
        self.stack, self.number, self.slots, self.url = stack, number, slots, url
        self.cluster = f"cluster-{number}"
        self.agent = f"agent-{number}"
        self.launcher: Sequence[str] = ()

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the processes, in the order in which they start."""
        return (self.agent,)

    @classmethod
    def missing(cls) -> str:
        """Why this machine cannot have such a site; empty where it can."""
        return ""

    def settings(self) -> str:
        """Lines that follow the agent's section [agent]."""
        return ""

    def environment(self) -> Mapping[str, str]:
        return {}

    def open(self) -> None:
        """Make what the agent needs before it starts."""

    def start(self, part: str) -> None:
        self.stack.start_agent(
            self.number,
            slots=self.slots,
            url=self.url,
            settings=self.settings(),
            environment=self.environment(),
            launcher=self.launcher,
        )

    def heal(self) -> None:
        """Take away whatever was broken, other than its processes."""

    def submissions(self) -> Counter[str]:
        """How often each job was submitted, by name, as the scheduler itself has noted it."""
        return Counter()

    def close(self) -> None:
        """End what does not end with the stack."""


KINDS: dict[str, type[Site]] = {Site.kind: Site}
