"""The section [serving] of the agent's settings: whether, where and how models are served here."""

from __future__ import annotations

import configparser
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ENGINES = ("podman", "docker")  # what `auto` looks for; a process is served only where it is named
PROCESS = "process"
KINDS = (*ENGINES, PROCESS)
MOST_PORTS = 20_000


@dataclass(frozen=True)
class ServingConfig:
    """`host`: the address at which the portal reaches models, "" for the one that this machine has
    towards the portal; `ports`: first and last of those that
    they get; `runtimes` in the order of preference; `folders`: roots under which the folder of a
    process model must lie; `backoff_s`: the first pause before a restart. `refusal`: why nothing is
    served here, empty where models are welcome.
    """

    refusal: str = ""
    host: str = ""
    ports: tuple[int, int] = (40_000, 40_999)
    runtimes: tuple[str, ...] = ENGINES
    folders: tuple[Path, ...] = ()
    backoff_s: float = 10.0


def read(parser: configparser.ConfigParser, *, scheduler: str, standing: bool) -> ServingConfig:
    """Read the section. `standing`: whether this agent stays, so that it can look after models.

    Raises ValueError.
    """
    found = parser["serving"] if parser.has_section("serving") else {}
    runtimes = _runtimes(found.get("runtimes", "auto"))
    return ServingConfig(
        refusal=_refusal(found, runtimes, scheduler=scheduler, standing=standing),
        host=_host(found.get("host", "auto")),
        ports=_ports(found.get("ports", "40000-40999")),
        runtimes=runtimes,
        folders=_folders(found.get("folders", "")),
        backoff_s=_backoff(found.get("backoff_s", "10")),
    )


def _refusal(
    found: Mapping[str, str], runtimes: tuple[str, ...], *, scheduler: str, standing: bool
) -> str:
    enabled = _yes_or_no(found.get("enabled", ""))
    if not standing:
        why = "this cluster's agent comes by SSH for moments; models need an agent that stays"
    elif scheduler != "process":
        why = f"this agent hands work to {scheduler}; models need an agent on their own machine"
    elif enabled is False or not runtimes:
        return "this agent's settings say that it serves no models ([serving])"
    else:
        return ""
    if enabled:
        raise ValueError(f"[serving] enabled cannot be yes: {why}")
    return why


def _yes_or_no(text: str) -> bool | None:
    word = text.strip().lower()
    if word in ("", "auto"):
        return None
    if word not in configparser.ConfigParser.BOOLEAN_STATES:
        raise ValueError(f"[serving] enabled {text!r:.40}: use yes or no")
    return configparser.ConfigParser.BOOLEAN_STATES[word]


def _host(text: str) -> str:
    """Loopback or an address of the lab's own network; never every address at once."""
    if text.strip().lower() in ("", "auto"):
        return ""
    try:
        address = ipaddress.ip_address(text.strip())
    except ValueError:
        raise ValueError(
            f"[serving] host {text!r:.60}: use auto or an IP address of this machine"
        ) from None
    if address.is_unspecified or address.is_multicast or address.is_global:
        raise ValueError(
            f"[serving] host {text.strip()}: models answer without a password, so they listen on "
            "127.0.0.1 or on this machine's private address alone"
        )
    return str(address)


def _ports(text: str) -> tuple[int, int]:
    first, dash, last = text.strip().partition("-")
    try:
        found = int(first), int(last if dash else first)
    except ValueError:
        found = (0, 0)
    if not 1024 <= found[0] <= found[1] <= 65_535 or found[1] - found[0] >= MOST_PORTS:
        raise ValueError(f"[serving] ports {text!r:.40}: use a range such as 40000-40999")
    return found


def _runtimes(text: str) -> tuple[str, ...]:
    words = tuple(dict.fromkeys(word for word in text.lower().replace(",", " ").split()))
    if words in ((), ("auto",)):
        return ENGINES
    if words == ("none",):
        return ()
    unknown = [word for word in words if word not in KINDS]
    if unknown:
        raise ValueError(
            f"[serving] runtimes {unknown[0]!r:.40} is unknown; use auto, none, or some of "
            f"{', '.join(KINDS)}"
        )
    return words


def _folders(text: str) -> tuple[Path, ...]:
    """One per line, or divided by colons."""
    found = []
    for word in text.replace(":", "\n").splitlines():
        path = Path(word.strip()).expanduser() if word.strip() else None
        if path is not None and not path.is_absolute():
            raise ValueError(f"[serving] folders {word.strip()!r:.80}: use absolute paths")
        found += [path] if path else []
    return tuple(found)


def _backoff(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0.05 <= seconds <= 300:
        raise ValueError(f"[serving] backoff_s {text!r:.40}: use seconds from 0.05 to 300")
    return seconds
