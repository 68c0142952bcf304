"""What a run may ask of the machine that it runs on: how much, in which words, and whether a
cluster can ever give it. What the clusters can do is told by themselves (`why_never`, `limits`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import fields, replace
from typing import Any

from django.apps import apps

from calculations.software.base import Resources

NAMES = tuple(field.name for field in fields(Resources))
LIMITS = {
    "cores": (1, 100_000),
    "memory_mib": (16, 100_000_000),
    "walltime_s": (1, 60 * 24 * 3600),
    "nodes": (1, 10_000),
    "tasks": (0, 100_000),
    "gpus": (0, 10_000),
}
#: Names of the site's own things, and how long they may be.
WORDS = {"gpu_type": 40, "partition": 100, "account": 100, "qos": 100}
_WORD = re.compile(r"[A-Za-z0-9_][\w.@+:/-]*", re.ASCII)
_LICENCE = re.compile(r"([A-Za-z0-9_][\w.@/-]{0,99})(?::([1-9][0-9]{0,4}))?", re.ASCII)
MOST_LICENCES = 20
MOST_NAMED = 3


def columns(source: Any) -> dict[str, Any]:
    """Return what anything that has the columns of a calculation asks for."""
    return {name: getattr(source, name) for name in NAMES} | {"licences": list(source.licences)}


def resources_of(source: Any) -> Resources:
    return Resources.from_json(columns(source))


def licences() -> dict[str, int]:
    """The lab's licences and how many runs may hold each, whatever a site counts by itself."""
    rows = apps.get_model("clusters", "Licence").objects.order_by("name")
    return dict(rows.values_list("name", "seats"))


def problems(asked: Resources, *, cluster: Any = None) -> dict[str, str]:
    """Say by field what can never be right."""
    found = {
        name: f"must be between {least} and {most}"
        for name, (least, most) in LIMITS.items()
        if not least <= getattr(asked, name) <= most
    }
    for name, longest in WORDS.items():
        text = getattr(asked, name)
        if text and (len(text) > longest or not _WORD.fullmatch(text)):
            found[name] = (
                f"may hold at most {longest} letters, digits and _ . - + @ : / and no spaces; "
                "take the name as the site writes it"
            )
    if not found:
        found |= _shares(asked)
    if asked.licences:
        found |= _licences(asked.licences, cluster)
    return found


def _shares(asked: Resources) -> dict[str, str]:
    """What must go into one another: totals are given, the scheduler hands out equal shares."""
    found: dict[str, str] = {}
    if asked.cores < asked.nodes:
        found["cores"] = f"must be at least 1 for each of {asked.nodes} nodes"
    elif asked.tasks and asked.cores % asked.tasks:
        fewer = asked.cores // asked.tasks * asked.tasks
        near = " or ".join(str(n) for n in (fewer, fewer + asked.tasks) if n)
        found["cores"] = f"must be a multiple of {asked.tasks} tasks: take {near}"
    if asked.tasks and asked.tasks < asked.nodes:
        found["tasks"] = f"must be at least 1 for each of {asked.nodes} nodes, or 0"
    if asked.gpus % asked.nodes:
        found["gpus"] = f"must be a multiple of {asked.nodes} nodes: each gets as many"
    if asked.gpu_type and not asked.gpus:
        found["gpu_type"] = "is said, but no GPU is asked for: say how many"
    return found


def _licences(asked: Iterable[str], cluster: Any) -> dict[str, str]:
    read = [(words, _LICENCE.fullmatch(str(words))) for words in asked]
    odd = [str(words) for words, match in read if match is None]
    if odd or len(read) > MOST_LICENCES:
        shown = f"{odd[0]!r:.60} is none" if odd else f"at most {MOST_LICENCES}"
        return {"licences": f"must be names with how many, such as matlab:2; {shown}"}
    known = licences()
    for _, match in read:
        name, count = match[1], int(match[2] or 1)
        if name in known and count > known[name]:
            return {"licences": f"asks for {count} of {name}; the lab has {known[name]}"}
        if name not in known and (cluster is None or not cluster.limits.kind):
            there = f"known are {', '.join(known)}" if known else "the lab has none"
            words = (
                f"{name} is no licence of the lab ({there}); choose the cluster whose site has it"
            )
            return {"licences": words}
    return {}


def cluster_problem(cluster: Any, asked: Resources) -> str:
    """Say why this cluster can never run it, and what to do; "" where it can."""
    why = cluster.why_never(asked)
    if not why:
        return ""
    limits = cluster.limits
    for name, known in (("account", limits.accounts), ("qos", limits.qos)):
        if (said := getattr(asked, name)) and known and said not in known:
            return f"{cluster.name} {why}: choose {_few(known)}, or leave it empty"
    fitting = [
        partition.name
        for partition in limits.partitions
        if partition.name != asked.partition
        and not cluster.why_never(replace(asked, partition=partition.name))
    ]
    remedies = [f"choose the partition {_few(fitting)}"] if fitting else ["choose another cluster"]
    return f"{cluster.name} {why}: {remedies[0]}, or ask for less"


def nobody_can(clusters: Iterable[Any], asked: Resources) -> str:
    """Say why none of these clusters can ever run it; "" where one can, or there is none."""
    reasons = []
    for cluster in clusters:
        why = cluster.why_never(asked)
        if not why:
            return ""
        reasons.append(f"{cluster.name} {why}")
    if not reasons:
        return ""
    more = f"; and {len(reasons) - MOST_NAMED} more" if len(reasons) > MOST_NAMED else ""
    return f"none can run it: {'; '.join(reasons[:MOST_NAMED])}{more}. Ask for less"


def _few(names: Iterable[str]) -> str:
    return " or ".join(list(names)[:MOST_NAMED])
