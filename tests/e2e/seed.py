"""What the browser tests look at: three people, a private project, and a calculation in each state.

Runs inside the portal's Django (portal.py), through the services that pages and API call.
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from io import BytesIO
from typing import Any

from calculations.models import Calculation, OrphanResult, Run
from calculations.services import drafts, lifecycle, pseudopotentials, submission, templates
from calculations.services.drafts import DraftSpec
from clusters.models import AwsExecution, Cluster, LogLine, Metrics, SshSession
from clusters.services import aws, clusters, ssh
from clusters.transports.aws import trial as aws_trial
from clusters.transports.ssh.trial import NAMES
from labportal.accounts.models import Level, Project, User
from labportal.accounts.roles import Role
from labportal.accounts.services import projects, users
from labportal.common.clock import now
from labportal.notifications.models import Announcement
from labportal.notifications.services import notify
from tests.calculations.pseudopotentials import psf
from tests.e2e.seed_models import models
from tests.e2e.seed_results import found

PASSWORD = "correct horse battery staple"
PEOPLE = (
    ("root", Role.ADMIN, "Emmy", "Noether"),
    ("max", Role.MODERATOR, "Max", "Born"),
    ("ada", Role.USER, "Ada", "Lovelace"),
    ("mia", Role.USER, "Mia", "Anker"),
)
FIELDS = {"parameter": "field_z", "values": [0.0, 0.01, 0.02, 0.03, 0.04], "mode": "chain"}
ANALYSES = ("convergence", "dipole", "energy_vs_sweep", "dipole_vs_field", "polarizability")
SILENT_SITE = {
    "slots": {"total": 4, "free": 4},
    "cores": 16,
    "memory_mib": 65536,
    "software": {"noop": {"version": "1", "ok": True, "problem": ""}},
}


def seed() -> dict[str, Any]:
    """Make everything; return what stands in addresses: names, numbers, keys."""
    people = _people()
    live, silent = Cluster.objects.order_by("pk")[:2]
    _silence(silent)
    project = projects.create(
        name="Water in fields", private=True, description="Finite fields.", actor=people["ada"]
    )
    made = _calculations(people["ada"], project, live, silent)
    pseudopotential = _pseudopotentials(people["ada"])
    made |= found(people, project)
    _history(live)
    _orphan(made["cancelled"], silent)
    return {
        "people": {name: person.pk for name, person in people.items()},
        "project": project.slug,
        "cluster": live.name,
        "silent": silent.name,
        "ssh": _ssh(people["root"]).name,
        "aws": _aws(people["root"]).name,
        "structure": made["valid"].structure_id,
        "relaxed": made["doubtful"].structure_id,
        "pseudopotential": pseudopotential,
        "template": templates.save(
            made["valid"],
            name="Finite fields",
            description="A chain over the field, with the polarizability at its end.",
            actor=people["ada"],
        ).pk,
        "announcement": _announcement(),
        **models(people),
        "calculations": {name: calculation.pk for name, calculation in made.items()},
    }


def _announcement() -> int:
    """One that has ended, so that it stands in the list of its page alone."""
    yesterday, hour = now() - timedelta(days=1), timedelta(hours=1)
    text = "The network rests for an hour."
    row = Announcement.objects.create(text=text, from_at=yesterday, until_at=yesterday + hour)
    return row.pk


def learn(calculation_id: int) -> dict[str, Any]:
    """Return the keys of what came into being since."""
    run = Run.objects.filter(calculation_id=calculation_id).order_by("index").first()
    return {
        "run": str(run.pk),
        "file": run.output_files.order_by("pk").first().pk,
        "line": LogLine.objects.filter(run=None, level="ERROR").first().pk,
    }


def _people() -> dict[str, User]:
    admin = User.objects.filter(username="admin").first()
    made = {}
    for name, role, first, last in PEOPLE:
        made[name] = users.create(
            username=name,
            password=PASSWORD,
            role=role,
            email=f"{name}@lab.example",
            first_name=first,
            last_name=last,
            actor=admin,
        )
    return made


def _silence(cluster: Cluster) -> None:
    """A cluster that was heard once and went silent: what waits for it stays queued."""
    cluster.capacity = SILENT_SITE
    cluster.last_exchange_at = now() - timedelta(hours=2)
    cluster.agent_host, cluster.agent_version = "login.tesla", "1"
    cluster.save()


def _pseudopotentials(actor: User) -> int:
    """A family of a few elements; return the key of one file."""
    files = [(f"{element}.psf", BytesIO(psf(element))) for element in ("H", "C", "O", "Si")]
    return pseudopotentials.add("PBE", files, actor=actor).rows[0].pk


def _calculations(
    ada: User, project: Project, live: Cluster, silent: Cluster
) -> dict[str, Calculation]:
    def draft(name: str, software: str = "noop", **wishes: Any) -> Calculation:
        spec = {"project": project, "name": name, "software": software, "cluster": live, **wishes}
        return drafts.create(DraftSpec(**spec), actor=ada)

    made = {
        "running": draft(
            "A long sleep", parameters={"program": "sleep", "seconds": 3500}, walltime_s=3500
        ),
        "valid": draft(
            "Water in an electric field",
            "pyscf",
            sweep=FIELDS,
            analyses=ANALYSES,
            description="The polarizability of water along its axis, by finite field.",
        ),
        "not_valid": draft("Water in one cycle", "pyscf", parameters={"max_cycles": 1}),
        "failed": draft("Exit code of false", parameters={"program": "false"}),
        "in_review": draft("A month of sleep", walltime_s=30 * 24 * 3600),
        "queued": draft("For a silent cluster", cluster=silent),
        "cancelled": draft("Not wanted any more", cluster=silent),
        "draft": draft("Not yet thought through", "pyscf"),
    }
    for name, calculation in made.items():
        if name != "draft":
            submission.submit(calculation, actor=ada)
    lifecycle.cancel(made["cancelled"], actor=ada, why="the question was answered")
    return made


def _history(cluster: Cluster) -> None:
    """An hour of heartbeats with a gap, lines of every level, and something in every inbox."""
    moment = now()
    minutes = [minute for minute in range(60, 0, -1) if not 30 < minute < 36]
    Metrics.objects.bulk_create(
        Metrics(
            cluster=cluster,
            at=moment - timedelta(minutes=minute),
            cpu_percent=40 + minute % 7 * 6,
            memory_mib=9000 + minute * 20,
            memory_total_mib=32000,
            load1=1 + minute % 5 / 4,
            disk_free_mib=200_000,
        )
        for minute in minutes
    )
    LogLine.objects.bulk_create(
        LogLine(
            cluster=cluster,
            at=moment - timedelta(minutes=10, seconds=-number),
            service="agent",
            level=level,
            text=f"{level.lower()} line {number}: the scratch folder holds {number} files",
        )
        for number, level in enumerate(("DEBUG", "INFO", "WARNING", "ERROR") * 10)
    )
    for name, *_ in PEOPLE:
        notify(
            [User.objects.get(username=name)],
            level=Level.INFO,
            subject="The lab's portal is new",
            body="Say what you miss.",
            url="/",
            key="welcome",
        )


def _aws(root: User) -> Cluster:
    """A cluster that is a state machine; its test failed at the bucket, an execution goes on."""
    cloud = clusters.register(name="cloud", carrier=Cluster.Carrier.AWS, actor=root)
    arn = "arn:aws:states:eu-central-1:123456789012:stateMachine:labportal"
    place = {"region": "eu-central-1", "bucket": "lab-bucket", "memory_mib": 3538}
    access = aws.set_up(cloud, state_machine_arn=arn, **place, actor=root)
    done = [{"name": n, "ok": True, "found": "good", "remedy": ""} for n in aws_trial.NAMES[:2]]
    remedy = "Enter the bucket's name."
    words = {"found": "There is no such bucket.", "remedy": remedy}
    access.test_steps = [*done, {"name": aws_trial.NAMES[2], "ok": False, **words}]
    access.test_began_at = access.test_ended_at = now()
    access.not_before = now() + timedelta(days=1)
    access.save()
    AwsExecution.objects.create(
        cluster=cloud,
        run=uuid.UUID(int=7),
        attempt=1,
        state="running",
        looked_at=now() + timedelta(days=1),
        progress={"done": 3, "of": 8, "what": "ranks"},
    )
    return cloud


def _ssh(root: User) -> Cluster:
    """A cluster that the portal signs in to; its test failed at the work folder."""
    hpc = clusters.register(name="hpc", carrier=Cluster.Carrier.SSH, actor=root)
    access = ssh.set_up(
        hpc, host="login.hpc.example", user="lab", scheduler="slurm", most_per_minute=6, actor=root
    )
    access.host_keys = access.public_key.rsplit(" ", 1)[0]
    access.confirmed_at, access.confirmed_by = now(), root
    access.last_try_at, access.failures = now(), 2
    access.last_error = "The host refused the connection: nothing listens there."
    access.not_before = now() + timedelta(days=1)
    access.save()
    done = [{"name": n, "ok": True, "found": "as it should be", "remedy": ""} for n in NAMES[:4]]
    words = "The work folder cannot be written: [Errno 13] Permission denied: '/scratch/lab'"
    remedy = "Enter a folder that belongs to this user."
    failed = {"name": NAMES[4], "ok": False, "found": words, "remedy": remedy}
    both = {"cluster": hpc, "ended_at": now(), "expires_at": now()}
    SshSession.objects.create(kind="test", code="work_folder", steps=[*done, failed], **both)
    SshSession.objects.create(
        kind="exchange", exchanges=3, bytes_sent=4_200_000, bytes_fetched=310_000, **both
    )
    return hpc


def _orphan(calculation: Calculation, cluster: Cluster) -> None:
    OrphanResult.objects.create(
        run=calculation.runs.get(),
        attempt=1,
        cluster=cluster,
        report={},
        why="the run was cancelled before",
    )
