"""The demo's lab: a person per role, a cluster, its agent's settings, two models; for `manage.py
demo_lab`.

Safe to repeat: what is there stays. Passwords and keys are returned once and kept nowhere in clear,
but for the key in agent.ini, which only its owner may read.
"""

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from django.test import RequestFactory

from calculations.services import structures
from clusters import keys
from clusters.agent import config
from clusters.agent_file import build
from clusters.models import Cluster
from labportal.accounts.models import Project, User
from labportal.accounts.roles import Role
from labportal.accounts.services import tokens, users
from labportal.demo import models
from labportal.demo.structures import STRUCTURES

CLUSTER = "laptop"
PEOPLE = (
    ("ada", Role.USER, "Ada", "Lovelace"),
    ("max", Role.MODERATOR, "Max", "Born"),
)
ADMIN = "root"


@dataclass(frozen=True, slots=True)
class Lab:
    """What the demo is told; `passwords` holds only those of people who were created just now."""

    token: str = field(repr=False)
    passwords: dict[str, str] = field(repr=False)


def prepare(home: Path, url: str) -> Lab:
    """Make whatever of the lab is missing; write the agent's file and settings under `home`."""
    passwords: dict[str, str] = {}
    admin = User.objects.filter(username=ADMIN).first()
    if admin is None:
        passwords[ADMIN] = secrets.token_urlsafe(12)
        admin = User.objects.create_superuser(ADMIN, passwords[ADMIN], email=_mail(ADMIN))
    for name, role, first, last in PEOPLE:
        if not User.objects.filter(username=name).exists():
            passwords[name] = secrets.token_urlsafe(12)
            users.create(
                username=name,
                password=passwords[name],
                role=role,
                email=_mail(name),
                first_name=first,
                last_name=last,
                actor=admin,
            )
    cluster = _prepare_agent(home, url, admin)
    ada, moderator = (User.objects.get(username=name) for name, *_ in PEOPLE)
    _prepare_structures(ada)
    models.prepare(home, cluster, creator=ada, reviewer=moderator)
    request = RequestFactory(headers={"user-agent": "make demo"}).get("/")
    return Lab(tokens.issue(ada, request=request).access, passwords)


def _prepare_agent(home: Path, url: str, admin: User) -> Cluster:
    build(home / "labportal-agent.pyz")
    settings, work = home / "agent.ini", home / "agent"
    cluster, _ = Cluster.objects.get_or_create(
        name=CLUSTER, defaults={"description": "This machine, for the demo."}
    )
    slots = min(4, os.cpu_count() or 1)
    # Models hold cores as long as they run, and these hardly use theirs: runs keep all there are.
    cores = config.available_cores() + len(models.NAMES)
    folders = str(models.folder_of(home))
    sections = {
        "agent": {"cores": str(cores)},
        # Models end with the demo: they are not to wait for long when it comes again.
        "serving": {"runtimes": "process", "folders": folders, "backoff_s": "0.5"},
    }
    key = _key(settings, cluster, admin)
    config.write(settings, url=url, key=key, work=str(work), slots=slots, sections=sections)
    return cluster


def _prepare_structures(ada: User) -> None:
    """Fill the library once: what was deleted since does not come back."""
    project = Project.objects.get(is_default=True)
    if project.structures.exists():
        return
    for sample in STRUCTURES:
        structures.create(
            project,
            name=sample.name,
            content=sample.content,
            description=sample.description,
            tags=sample.tags,
            actor=ada,
        )


def _key(settings: Path, cluster: Cluster, admin: User) -> str:
    """Return the agent's key while it is valid, else a new one; keys nobody holds are revoked."""
    try:
        key = config.load(settings).key
        if keys.authenticate(f"Api-Key {key}").cluster_id == cluster.pk:
            return key
    except (config.BadConfig, keys.KeyRefused):
        pass
    for old in keys.valid_keys(cluster):
        keys.revoke(old, actor=admin)
    return keys.issue(cluster, actor=admin)[1]


def _mail(name: str) -> str:
    return f"{name}@lab.example"
