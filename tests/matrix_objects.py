"""The things that routes and topics name, for the table of roles: each made when it is asked for.

VALUES says which one stands behind a parameter of a route; the first line that fits counts.
"""

from collections.abc import Callable
from fnmatch import fnmatchcase
from io import BytesIO
from typing import Any

from calculations.models import (
    Calculation,
    Dataset,
    Export,
    InputFile,
    OrphanResult,
    OutputFile,
    Run,
    SavedFilter,
    Structure,
    Template,
)
from calculations.services import drafts, pseudopotentials, structures, templates
from calculations.software.structure import WATER
from clusters import keys, node_wheel
from clusters.models import Cluster, Licence, LogLine
from clusters.services import aws, ssh
from labportal.accounts.models import BrowserSession, Project, RefreshGrant, User
from labportal.common.clock import now
from labportal.common.storage import storage
from labportal.notifications.models import Announcement, Notification
from tests.calculations.factories import draft, submitted
from tests.calculations.pseudopotentials import psf
from tests.clusters.factories import cluster
from tests.factories import NotificationFactory, ProjectFactory, UserFactory
from tests.matrix import Route, World
from tests.matrix_models import MODEL_VALUES


def target(world: World) -> User:
    """A plain user whom others administer."""
    return world.thing("target", lambda _: UserFactory(username="target"))


def project(world: World) -> Project:
    people = world.people
    return world.thing(
        "project",
        lambda _: ProjectFactory(private=True, managers=[people["ada"]], members=[people["mia"]]),
    )


def browser(world: World) -> BrowserSession:
    return world.thing(
        "browser",
        lambda _: BrowserSession.objects.create(user=world.people["ada"], session_key="k" * 32),
    )


def program(world: World) -> RefreshGrant:
    return world.thing(
        "program",
        lambda _: RefreshGrant.objects.create(
            user=world.people["ada"], jti="j", family="0" * 32, expires_at=now()
        ),
    )


def announcement(world: World) -> Announcement:
    return world.thing("announcement", lambda _: Announcement.objects.create(text="Metis rests."))


def notification(world: World) -> Notification:
    return world.thing("notification", lambda _: NotificationFactory(user=world.people["ada"]))


def a_draft(world: World) -> Calculation:
    return world.thing(
        "draft", lambda _: draft(world.people["ada"], project=project(world), name="Draft")
    )


def licence(world: World) -> Licence:
    return world.thing("licence", lambda _: Licence.objects.create(name="matlab", seats=2))


def queued(world: World) -> Calculation:
    return world.thing("queued", lambda _: submitted(world.people["ada"], project=project(world)))


def run(world: World) -> Run:
    return queued(world).runs.order_by("index").first()


def dataset(world: World) -> Dataset:
    return world.thing(
        "dataset",
        lambda _: Dataset.objects.create(
            calculation=queued(world), run=run(world), name="scf", label="SCF", kind="series"
        ),
    )


def _stored(name: str) -> dict[str, Any]:
    size, sha256 = storage().save(f"matrix/{name}", BytesIO(b"text"))
    return {"name": name, "size": size, "sha256": sha256, "key": f"matrix/{name}"}


def input_file(world: World) -> InputFile:
    return world.thing(
        "input",
        lambda _: InputFile.objects.create(calculation=queued(world), **_stored("in.txt")),
    )


def output_file(world: World) -> OutputFile:
    return world.thing(
        "output",
        lambda _: OutputFile.objects.create(run=run(world), attempt=0, **_stored("out.txt")),
    )


def structure(world: World) -> Structure:
    return world.thing(
        "structure",
        lambda _: structures.create(
            project(world), name="Water", content=WATER, actor=world.people["ada"]
        )[0],
    )


def template(world: World) -> Template:
    return world.thing(
        "template",
        lambda _: templates.save(queued(world), name="Water", actor=world.people["ada"]),
    )


def deleted(world: World) -> Calculation:
    def make(_: Any) -> Calculation:
        gone = draft(world.people["ada"], project=project(world), name="Deleted")
        drafts.delete(gone, actor=world.people["ada"])
        return gone

    return world.thing("deleted", make)


def saved_filter(world: World) -> SavedFilter:
    return world.thing(
        "filter",
        lambda _: SavedFilter.objects.create(
            user=world.people["ada"], name="f", query="state=valid"
        ),
    )


def export(world: World) -> Export:
    return world.thing(
        "export",
        lambda _: Export.objects.create(
            user=world.people["ada"],
            kind="report-json",
            asked={"calculation": queued(world).pk},
            state="ready",
            projects=[project(world).pk],
            file_name="report.json",
            key=_stored("report.json")["key"],
        ),
    )


def site(world: World) -> Cluster:
    return world.thing("cluster", lambda _: cluster("metis"))


def ssh_site(world: World) -> Cluster:
    """A cluster that the portal signs in to."""

    def make(_: World) -> Cluster:
        found = cluster("hpc", carrier=Cluster.Carrier.SSH)
        ssh.set_up(found, host="login.hpc.example", user="lab", actor=world.people["root"])
        return found

    return world.thing("ssh site", make)


def aws_site(world: World) -> Cluster:
    """A cluster that is a state machine."""

    def make(_: World) -> Cluster:
        found = cluster("cloud", carrier=Cluster.Carrier.AWS)
        arn = "arn:aws:states:eu-central-1:123456789012:stateMachine:labportal"
        place = {"region": "eu-central-1", "bucket": "lab-bucket"}
        aws.set_up(found, state_machine_arn=arn, **place, actor=world.people["root"])
        return found

    return world.thing("aws site", make)


def key_prefix(world: World) -> str:
    key, _ = world.thing("key", lambda _: keys.issue(site(world), actor=world.people["root"]))
    return key.prefix


def line(world: World) -> LogLine:
    return world.thing(
        "line",
        lambda _: LogLine.objects.create(
            cluster=site(world), run=run(world), at=now(), service="program", text="SCF"
        ),
    )


def orphan(world: World) -> OrphanResult:
    return world.thing(
        "orphan",
        lambda _: OrphanResult.objects.create(
            run=run(world), attempt=1, cluster=site(world), report={}, why="late"
        ),
    )


def mia(world: World) -> User:
    return world.people["mia"]


def pk(make: Callable[[World], Any]) -> Callable[[World], Any]:
    return lambda world: make(world).pk


def always(value: Any) -> Callable[[World], Any]:
    return lambda world: value


def pseudopotential(world: World) -> Any:
    def make(_: World) -> Any:
        file = BytesIO(psf("Si"))
        return pseudopotentials.add("PBE", [("Si.psf", file)], actor=world.people["ada"]).rows[0]

    return world.thing("pseudopotential", make)


VALUES: tuple[tuple[str, str, Callable[[World], Any]], ...] = (
    *MODEL_VALUES,
    ("project-member-remove", "user_id", pk(mia)),
    ("api-project-member", "user_id", pk(mia)),
    ("user-*", "user_id", pk(target)),
    ("api-user-*", "pk", pk(target)),
    ("licence-*", "licence_id", pk(licence)),
    ("api-licence-*", "pk", pk(licence)),
    ("*", "slug", lambda world: project(world).slug),
    ("*", "project_id", pk(project)),
    ("api-project-*", "pk", pk(project)),
    ("*", "filter_id", pk(saved_filter)),
    ("api-filter-*", "pk", pk(saved_filter)),
    ("export-*", "export_id", pk(export)),
    ("api-export-*", "pk", pk(export)),
    ("*", "session_id", pk(browser)),
    ("*", "grant_id", pk(program)),
    ("*", "notification_id", pk(notification)),
    ("api-notification-*", "pk", pk(notification)),
    ("announcement-*", "announcement_id", pk(announcement)),
    ("api-announcement-*", "pk", pk(announcement)),
    ("api-software-*", "pk", always("noop")),
    ("molecule-from-run", "run", pk(run)),
    ("molecule-*", "pk", pk(structure)),
    ("template-*", "pk", pk(template)),
    ("api-template-*", "pk", pk(template)),
    ("api-structure-*", "pk", pk(structure)),
    ("pseudopotential-*", "pk", pk(pseudopotential)),
    ("api-pseudopotential-*", "pk", pk(pseudopotential)),
    ("api-run-*", "pk", pk(run)),
    ("api-run-files", "file_id", pk(output_file)),
    ("calculation-input-file", "file_id", pk(input_file)),
    ("calculation-output-file", "file_id", pk(output_file)),
    ("api-calculation-files", "name", always("in.txt")),
    ("calculation-detail", "pk", pk(queued)),
    ("calculation-*put-file", "pk", pk(queued)),
    ("calculation-figure", "pk", pk(queued)),
    ("*calculation-charts", "pk", pk(queued)),
    ("*calculation-report*", "pk", pk(queued)),
    ("api-calculation-runs-*", "pk", pk(queued)),
    ("api-calculation-results-*", "pk", pk(queued)),
    ("api-dataset-*", "pk", pk(dataset)),
    ("calculation-undo", "token", always("none")),
    ("*calculation-take-back", "pk", pk(deleted)),
    ("*calculation-*", "pk", pk(a_draft)),
    ("calculation-detail", "tab", always("timeline")),
    ("calculation-figure", "scope", always("0")),
    ("calculation-figure", "dataset", always("progress")),
    ("calculation-figure", "number", always(0)),
    ("cluster-aws-*", "name", lambda world: aws_site(world).name),
    ("cluster-ssh-*", "name", lambda world: ssh_site(world).name),
    ("cluster-*", "name", lambda world: site(world).name),
    ("cluster-metrics", "chart", always("cpu")),
    ("run-metrics", "run", pk(run)),
    ("run-metrics", "chart", always("cpu")),
    ("node-wheel", "name", lambda _: node_wheel.file_name()),
    ("cluster-key-revoke", "prefix", key_prefix),
    ("cluster-orphan-adopt", "orphan_id", pk(orphan)),
    ("api-cluster-aws*", "name", lambda world: aws_site(world).name),
    ("api-cluster-ssh*", "name", lambda world: ssh_site(world).name),
    ("api-cluster-*", "name", lambda world: site(world).name),
    ("api-cluster-key-revoke", "prefix", key_prefix),
    ("api-orphan-*", "pk", pk(orphan)),
    ("*log-*", "line", pk(line)),
    ("run-log*", "run", pk(run)),
    ("api-agent-*", "run", pk(run)),
    ("api-agent-*", "name", always("in.txt")),
    ("api-agent-*", "attempt", always(1)),
)


def values_of(route: Route, world: World) -> dict[str, Any]:
    """Return the objects behind a route's parameters, made where they are not there yet."""
    found = {}
    for parameter in route.parameters:
        makers = [
            make
            for names, name, make in VALUES
            if name == parameter and fnmatchcase(route.name, names)
        ]
        assert makers, f"VALUES names no object for {parameter!r} of {route}"
        found[parameter] = makers[0](world)
    return found
