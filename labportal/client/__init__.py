"""The Python client of a portal: `from labportal.client import Portal`.

Imports neither Django nor the portal: a notebook or a login node has this package alone, with the
extra `client`.
"""

from typing import Any

__all__ = ["Calculation", "ClientError", "Portal", "Run"]


def __getattr__(name: str) -> Any:
    """Load what is asked for; the command line starts without it."""
    if name == "ClientError":
        from labportal.client.errors import ClientError

        return ClientError
    if name in __all__:
        from labportal.client import portal

        return getattr(portal, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
