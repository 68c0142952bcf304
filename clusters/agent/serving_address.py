"""The address at which the portal reaches this node's models: loopback or a private one."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from clusters.agent.config import LOCAL_HOSTS, Config

LOOPBACK = "127.0.0.1"


class NoAddress(Exception):
    """None can be used; the message says why, with the remedy."""


def own_address(config: Config) -> str:
    """Return what the settings say, else the address from which this node speaks to the portal.

    May ask the name service: for worker threads. Raises NoAddress.
    """
    if config.serving.host:
        return config.serving.host
    portal = urlsplit(config.url or config.queue.get("broker", ""))
    name = portal.hostname or ""
    if not name or name in LOCAL_HOSTS:
        return LOOPBACK
    try:
        found = _address_towards(name, portal.port or 443)
    except OSError as error:
        raise NoAddress(f"it is not known how to reach {name}: {error}") from None
    if found.is_loopback:
        return LOOPBACK
    if found.is_global:
        raise NoAddress(
            f"this node speaks to the portal from the public address {found}, and models answer "
            "without a password: name a private one in [serving] host"
        )
    return str(found)


def _address_towards(name: str, port: int) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Let the kernel choose as for a connection; nothing is sent. Raises OSError."""
    family, kind, protocol, _, target = socket.getaddrinfo(name, port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind, protocol) as sock:
        sock.connect(target)
        return ipaddress.ip_address(sock.getsockname()[0].partition("%")[0])
