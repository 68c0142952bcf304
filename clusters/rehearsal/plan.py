"""What goes wrong in a rehearsal, and when: steps as an admin writes them, one a line.

    5 slurm-1 time_out programs=squeue,sacct times=3

That is: after 5 seconds (none: at once), at that site (a kind such as `slurm`: all of it, `*`: at
every site), which fault, and its details.
"""

from __future__ import annotations

from typing import Any

from clusters.rehearsal.faults import KINDS

#: What happens to agents, and what ends all faults. Details: seconds.
OF_AGENTS = {
    "agent_kill": "the agent is killed and starts again (details: seconds until then)",
    "agent_stop": "the agent stands still (details: seconds)",
    "heal": "all faults end",
}
WITHOUT_SCHEDULER = frozenset(OF_AGENTS)
EVERYWHERE = "*"

#: Nearly everything that can go wrong, within half a minute.
USUAL = """
2 * time_out programs=squeue,qstat times=3
3 * submit_error times=2
5 * forget programs=squeue,qstat share=0.5 times=4
6 * node_fail times=2
8 * agent_kill seconds=1
10 * cut programs=squeue,qstat,sacct times=3
11 * oom times=1 after_s=0.2
12 * preempt times=1
13 * lose times=1
14 * garbage programs=squeue,qstat times=2
15 * locale times=3
16 * strange_state times=3
18 * hang programs=squeue,qstat seconds=4 times=1
20 * agent_stop seconds=4
22 * refuse programs=squeue,qstat times=2
24 * requeue times=1 after_s=0.2
30 * heal
"""


class Step:
    def __init__(self, line: str) -> None:
        """Raises ValueError, which says what is wrong with the line and what is known."""
        words = line.split()
        self.after_s = float(words.pop(0)) if words and _is_number(words[0]) else 0.0
        if len(words) < 2:
            raise ValueError(f"{line!r}: write [SECONDS] SITE FAULT [detail=value …]")
        self.where, self.kind, *details = words
        if self.kind not in KINDS and self.kind not in OF_AGENTS:
            known = ", ".join([*KINDS, *OF_AGENTS])
            raise ValueError(f"{line!r}: {self.kind!r} is unknown; known are {known}")
        self.details = dict(map(_detail, details))

    def hits(self, name: str, kind: str) -> bool:
        """Whether it concerns a site; plain processes have no scheduler that could break."""
        if kind == "process" and self.kind not in WITHOUT_SCHEDULER:
            return False
        return self.where in (EVERYWHERE, kind, name)

    def __str__(self) -> str:
        details = " ".join(f"{name}={_said(value)}" for name, value in self.details.items())
        return f"{self.where} {self.kind} {details}".rstrip()


def read(text: str) -> list[Step]:
    """Read one step a line, in the order in which they happen. Raises ValueError."""
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    return sorted((Step(line) for line in lines if line), key=lambda step: step.after_s)


def described() -> str:
    """Every fault with what it does, for whoever has to choose."""
    return "\n".join(f"  {name:14} {words}" for name, words in {**KINDS, **OF_AGENTS}.items())


def _detail(word: str) -> tuple[str, Any]:
    name, equals, value = word.partition("=")
    if not equals or not name or not value:
        raise ValueError(f"{word!r}: write a detail as name=value")
    if name == "programs":
        return name, value.split(",")
    return name, (int(value) if value.isdigit() else float(value)) if _is_number(value) else value


def _said(value: Any) -> str:
    return ",".join(value) if isinstance(value, list) else str(value)


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdigit()
