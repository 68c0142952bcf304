"""Typed readers of environment variables; settings.py alone calls them.

A wrong value raises WrongValue, which stops the start and names the variable. It never shows the
value, which may be a secret.
"""

import os
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off", ""})


class WrongValue(ImproperlyConfigured):
    """An environment variable is missing or cannot be read as what it should be."""

    def __init__(self, name: str, expected: str) -> None:
        super().__init__(f"The environment variable {name} {expected}.")
        self.name = name


def string(name: str, default: str | None = None) -> str:
    value = os.environ.get(name)
    if value is None or (value == "" and default is not None):
        if default is None:
            raise WrongValue(name, "must be set")
        return default
    return value


def boolean(name: str, *, default: bool = False) -> bool:
    value = os.environ.get(name)
    if value is None:
        return default
    if value.strip().lower() in TRUE:
        return True
    if value.strip().lower() in FALSE:
        return False
    raise WrongValue(name, "must be one of 1, true, yes, on, 0, false, no, off")


def integer(
    name: str, default: int | None = None, *, least: int | None = None, most: int | None = None
) -> int:
    value = os.environ.get(name, "")
    if value == "":
        if default is None:
            raise WrongValue(name, "must be set to a whole number")
        return default
    try:
        number = int(value)
    except ValueError:
        raise WrongValue(name, "must be a whole number") from None
    if least is not None and number < least:
        raise WrongValue(name, f"must be at least {least}")
    if most is not None and number > most:
        raise WrongValue(name, f"must be at most {most}")
    return number


def url(name: str, default: str | None = None, *, schemes: tuple[str, ...] = ()) -> str:
    value = secret(name, default)
    if value == "":
        return value
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        raise WrongValue(name, "must be a URL") from None
    if not parts.scheme or "://" not in value:
        raise WrongValue(name, "must be a URL with a scheme, such as scheme://host/path")
    if schemes and parts.scheme not in schemes:
        raise WrongValue(name, f"must be a URL that starts with one of {', '.join(schemes)}")
    return value


def path(name: str, default: Path | None = None) -> Path:
    value = os.environ.get(name, "")
    if value == "":
        if default is None:
            raise WrongValue(name, "must be set to a path")
        return default
    if "\0" in value:
        raise WrongValue(name, "must be a path")
    return Path(value).expanduser().absolute()


def listing(name: str, default: list[str] | None = None) -> list[str]:
    """Read a comma-separated list; blanks around the entries and empty entries are dropped."""
    value = os.environ.get(name)
    if value is None:
        return list(default or [])
    return [entry.strip() for entry in value.split(",") if entry.strip()]


def secret(name: str, default: str | None = None) -> str:
    """Read NAME, or the file that NAME_FILE names (as container secrets are mounted)."""
    file_name = os.environ.get(f"{name}_FILE", "")
    if not file_name:
        return string(name, default)
    if os.environ.get(name):
        raise WrongValue(f"{name}_FILE", f"must not be set together with {name}")
    try:
        return Path(file_name).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise WrongValue(f"{name}_FILE", "must name a readable text file") from None


def credentials(parts: SplitResult) -> tuple[str, str]:
    """Return the user name and the password of a URL, percent-decoded."""
    return unquote(parts.username or ""), unquote(parts.password or "")


def prefixed(prefix: str) -> dict[str, str]:
    """Collect the variables that start with the prefix, without it; NAME_FILE as for secrets."""
    names = {name.removesuffix("_FILE") for name in os.environ if name.startswith(prefix)}
    return {name.removeprefix(prefix): secret(name) for name in sorted(names)}
