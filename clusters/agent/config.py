"""The agent's settings: an INI file that holds the portal's address, the key, and this site's
paths.

Read once at the start by the command line. The key never appears in a repr, in the log or in a
program's environment.
"""

from __future__ import annotations

import configparser
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from clusters.agent import serving_config
from clusters.agent.devices import check_setting
from clusters.agent.serving_config import ServingConfig

LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
SOFTWARE_PREFIX = "software."
SCHEDULERS = ("process", "slurm", "pbs")
# ssh: the portal signs in; neither address nor key. queue: the address is for files alone.
HTTPS, SSH, QUEUE = CARRIERS = ("https", "ssh", "queue")


class BadConfig(ValueError):
    """Settings that cannot be used; the message names the file, the setting and the remedy."""


@dataclass(frozen=True)
class Config:
    url: str
    key: str = field(repr=False)
    work: Path
    slots: int
    ca_file: str | None = None
    minimum_free_mib: int = 64
    enforce_memory: bool = True
    memory_factor: float = 1.2
    grace_s: float = 10.0
    log_level: str = "INFO"
    scheduler: str = "process"
    scheduler_options: Mapping[str, str] = field(default_factory=dict)
    # What the process scheduler gives out: cores, memory (0: all that there is), and GPUs by their
    # indexes such as "0,1" ("auto": all that there are, "none"); one of which others hold more than
    # `gpu_busy_mib` is not used.
    cores: int = field(default_factory=lambda: available_cores())
    memory_mib: int = 0
    gpus: str = "auto"
    gpu_busy_mib: int = 400
    carrier: str = HTTPS
    queue: Mapping[str, str] = field(default_factory=dict, repr=False)  # name and broker
    software: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    serving: ServingConfig = field(default_factory=ServingConfig)

    def site(self, software: str) -> Mapping[str, str]:
        """This site's own settings for a program."""
        return self.software.get(software, {})


def default_path() -> Path:
    """Where the settings are when nobody says otherwise."""
    named = os.environ.get("LABPORTAL_AGENT_CONFIG")
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(named).expanduser() if named else Path(base) / "labportal" / "agent.ini"


def available_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def load(path: Path) -> Config:
    """Read the settings. Raises BadConfig."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BadConfig(
            f"{path} does not exist; write it by `configure --url … --key … --work …`"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadConfig(f"{path} cannot be read: {error}") from None
    return parse(text, path)


def parse(text: str, path: Path) -> Config:
    """Read settings from the text of the file that `path` names. Raises BadConfig."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(text, source=str(path))
    except configparser.Error as error:
        raise BadConfig(f"{path} cannot be read: {error}") from None
    try:
        return _from_parser(parser, path)
    except (ValueError, configparser.Error) as error:
        raise BadConfig(f"{path}: {error}") from None


def _from_parser(parser: configparser.ConfigParser, path: Path) -> Config:
    if not parser.has_section("agent"):
        raise ValueError("section [agent] is missing")
    agent = parser["agent"]
    carrier = agent.get("carrier", HTTPS).strip().lower() or HTTPS
    if carrier not in CARRIERS:
        raise ValueError(f"[agent] carrier {carrier!r:.40} is unknown; use {' or '.join(CARRIERS)}")
    if carrier != SSH and not parser.has_section("portal"):
        raise ValueError("section [portal] is missing")
    portal = parser["portal"] if carrier != SSH else parser[parser.default_section]
    work = agent.get("work", "").strip()
    if not work:
        raise ValueError("[agent] work is missing: name a folder with room for the runs")
    slots = agent.getint("slots", fallback=available_cores())
    if not 1 <= slots <= 10_000:
        raise ValueError("[agent] slots must be between 1 and 10000")
    scheduler = _scheduler(agent)
    return Config(
        url=_url(portal) if carrier == HTTPS or portal.get("url") else "",
        key=_key(portal, path) if carrier != SSH else "",
        work=Path(work).expanduser().absolute(),
        slots=slots,
        ca_file=portal.get("ca_file") or None,
        minimum_free_mib=agent.getint("minimum_free_mib", fallback=64),
        enforce_memory=agent.getboolean("enforce_memory", fallback=True),
        memory_factor=agent.getfloat("memory_factor", fallback=1.2),
        grace_s=agent.getfloat("grace_s", fallback=10.0),
        log_level=agent.get("log_level", "INFO").upper(),
        scheduler=scheduler,
        scheduler_options=dict(parser["scheduler"]) if parser.has_section("scheduler") else {},
        cores=_at_least(1, agent, "cores", available_cores()),
        memory_mib=_at_least(0, agent, "memory_mib", 0),
        gpus=check_setting(agent.get("gpus", "auto").strip().lower() or "auto"),
        gpu_busy_mib=_at_least(0, agent, "gpu_busy_mib", 400),
        carrier=carrier,
        queue=dict(parser["queue"]) if parser.has_section("queue") else {},
        software={
            name[len(SOFTWARE_PREFIX) :]: dict(parser[name])
            for name in parser.sections()
            if name.startswith(SOFTWARE_PREFIX)
        },
        serving=serving_config.read(parser, scheduler=scheduler, standing=carrier != SSH),
    )


def _at_least(least: int, agent: configparser.SectionProxy, name: str, default: int) -> int:
    value = agent.getint(name, fallback=default)
    if value < least:
        raise ValueError(f"[agent] {name} must be {least} or more")
    return value


def _scheduler(agent: configparser.SectionProxy) -> str:
    kind = agent.get("scheduler", "process").strip().lower() or "process"
    if kind not in SCHEDULERS:
        raise ValueError(f"[agent] scheduler {kind!r:.40} is unknown; use {', '.join(SCHEDULERS)}")
    return kind


def _url(portal: configparser.SectionProxy) -> str:
    return check_url(portal.get("url", ""), allow_http=portal.getboolean("allow_http", False))


def check_url(url: str, *, allow_http: bool = False) -> str:
    """Return the portal's address without a trailing slash. Raises ValueError."""
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"[portal] url {url!r:.80} is not an address such as https://portal.lab")
    if parts.scheme == "http" and parts.hostname not in LOCAL_HOSTS and not allow_http:
        raise ValueError(
            f"[portal] url {url!r:.80}: use https, the key must not travel in the clear"
        )
    if parts.query or parts.fragment or parts.username:
        raise ValueError("[portal] url must hold neither a user, a query nor a fragment")
    return url.strip().rstrip("/")


def _key(portal: configparser.SectionProxy, path: Path) -> str:
    key = portal.get("key", "").strip()
    if not key and portal.get("key_file"):
        file = path.parent / Path(portal["key_file"]).expanduser()
        try:
            key = file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"[portal] key_file cannot be read: {error}") from None
    if not key or not key.isascii() or any(character.isspace() for character in key):
        raise ValueError("[portal] needs key or key_file with the key that the portal showed once")
    return key


def write(
    path: Path,
    *,
    url: str,
    key: str,
    work: str,
    slots: int,
    scheduler: str = "",
    options: Mapping[str, str] | None = None,
    sections: Mapping[str, Mapping[str, str]] | None = None,
) -> None:
    """Write portal and agent settings (mode 0600), and those in `sections`; other settings of an
    existing file stay, also the scheduler and its options where nothing is said of them.
    """
    parser = configparser.ConfigParser(interpolation=None)
    if path.exists():
        parser.read_string(path.read_text(encoding="utf-8"), source=str(path))
    for section in ("portal", "agent"):
        if not parser.has_section(section):
            parser.add_section(section)
    allow_http = parser["portal"].getboolean("allow_http", False)
    parser["portal"]["url"] = check_url(url, allow_http=allow_http)
    parser["portal"]["key"] = key.strip()
    parser["portal"].pop("key_file", None)
    parser["agent"]["work"] = work
    parser["agent"]["slots"] = str(slots)
    if scheduler:
        parser["agent"]["scheduler"] = scheduler
    further = {**(sections or {}), **({"scheduler": options} if options else {})}
    for section, values in further.items():
        if not parser.has_section(section):
            parser.add_section(section)
        parser[section].update(values)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        parser.write(stream)
    temporary.replace(path)
