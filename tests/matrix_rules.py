"""The table of roles, route by route: who may come in. A route without its line fails.

A rule is for all methods, or a dict by method; a method that the dict leaves out is open to nobody.
VALUES says which object stands behind a parameter of a route; the first line that fits counts.
"""

from collections.abc import Callable
from fnmatch import fnmatchcase
from io import BytesIO
from typing import Any

from calculations.models import Calculation, InputFile, OrphanResult, OutputFile, Run
from clusters import keys
from clusters.models import Cluster, LogLine
from labportal.accounts.models import BrowserSession, Project, RefreshGrant, User
from labportal.accounts.roles import Can
from labportal.common.clock import now
from labportal.common.storage import storage
from labportal.notifications.models import Notification
from tests.calculations.factories import draft, submitted
from tests.clusters.factories import cluster
from tests.factories import NotificationFactory, ProjectFactory, UserFactory
from tests.matrix import (
    MANAGERS,
    MEMBERS,
    NOBODY,
    OWNER,
    PUBLIC,
    SIGNED_IN,
    Route,
    Rules,
    World,
    may,
)

PEOPLE: dict[str, Rules] = {
    "sign-in": PUBLIC,
    "sign-out": PUBLIC,
    "colour-scheme": SIGNED_IN,
    "profile": SIGNED_IN,
    "profile-password": SIGNED_IN,
    "profile-sign-out-everywhere": SIGNED_IN,
    "profile-browser-revoke": OWNER,
    "profile-program-revoke": OWNER,
    "user-list": may(Can.VIEW_USERS),
    "user-create": may(Can.CREATE_USERS),
    "user-detail": {"GET": may(Can.VIEW_USERS), "POST": may(Can.CREATE_USERS)},
    "user-role": may(Can.CHANGE_ROLES),
    "user-password": may(Can.SET_PASSWORDS),
    "user-block": may(Can.BLOCK_USERS),
    "user-unblock": may(Can.BLOCK_USERS),
    "user-sign-out": may(Can.REVOKE_TOKENS),
    "user-delete": may(Can.DELETE_USERS),
    "user-audit": may(Can.VIEW_AUDIT),
    "audit-list": may(Can.VIEW_AUDIT),
    "project-list": SIGNED_IN,
    "project-create": may(Can.CREATE_CALCULATION),
    "project-detail": MEMBERS,
    "project-edit": MANAGERS,
    "project-delete": MANAGERS,
    "project-member": MANAGERS,
    "project-member-remove": MANAGERS | {"mia"},
    "notification-list": SIGNED_IN,
    "notification-unread": SIGNED_IN,
    "notification-read-all": SIGNED_IN,
    "notification-read": OWNER,
}
PEOPLE_API: dict[str, Rules] = {
    "api-token": PUBLIC,
    "api-refresh": NOBODY,  # whatever the session: only the cookie counts, and none is sent
    "api-sign-out": PUBLIC,
    "api-me": SIGNED_IN,
    "api-me-password": SIGNED_IN,
    "api-me-sign-ins": SIGNED_IN,
    "api-me-browser": OWNER,
    "api-me-program": OWNER,
    "api-user-list": {"GET": may(Can.VIEW_USERS), "POST": may(Can.CREATE_USERS)},
    "api-user-detail": {
        "GET": may(Can.VIEW_USERS),
        "PATCH": may(Can.CREATE_USERS),
        "DELETE": may(Can.DELETE_USERS),
    },
    "api-user-block": may(Can.BLOCK_USERS),
    "api-user-unblock": may(Can.BLOCK_USERS),
    "api-user-set-password": may(Can.SET_PASSWORDS),
    "api-user-sign-out-everywhere": may(Can.REVOKE_TOKENS),
    "api-project-list": {"GET": SIGNED_IN, "POST": may(Can.CREATE_CALCULATION)},
    "api-project-detail": {"GET": MEMBERS, "PATCH": MANAGERS, "DELETE": MANAGERS},
    "api-project-members": {"GET": MEMBERS, "POST": MANAGERS},
    "api-project-member": MANAGERS | {"mia"},
    "api-notification-list": SIGNED_IN,
    "api-notification-detail": OWNER,
    "api-notification-read": OWNER,
    "api-notification-read-all": SIGNED_IN,
    "api-audit-list": may(Can.VIEW_AUDIT),
}
OPERATION: dict[str, Rules] = {
    "healthz": PUBLIC,
    "readyz": PUBLIC,
    "metrics": PUBLIC,  # from this machine, which the test's client is
    "schema": PUBLIC,
    "docs": PUBLIC,
}
AUTHOR_OR_MODERATOR = frozenset({"ada", "max", "root"})
CALCULATIONS: dict[str, Rules] = {
    "dashboard": SIGNED_IN,
    "calculation-list": SIGNED_IN,
    "calculation-bulk": SIGNED_IN,
    "calculation-new": may(Can.CREATE_CALCULATION),
    "calculation-preview": may(Can.CREATE_CALCULATION),
    "calculation-detail": MEMBERS,
    "calculation-edit": MEMBERS,
    "calculation-submit": MEMBERS,
    "calculation-withdraw": MEMBERS,
    "calculation-cancel": MEMBERS,
    "calculation-retry": MEMBERS,
    "calculation-duplicate": MEMBERS,
    "calculation-delete": AUTHOR_OR_MODERATOR,
    "calculation-input-file": MEMBERS,
    "calculation-output-file": MEMBERS,
    "calculation-figure": MEMBERS,
    "review-list": may(Can.REVIEW),
    "review-decide": may(Can.REVIEW),
    "lab-settings": may(Can.MANAGE_SETTINGS),
    "api-calculation-list": SIGNED_IN,
    "api-calculation-bulk": may(Can.CREATE_CALCULATION),
    "api-calculation-detail": {
        "GET": MEMBERS,
        "PUT": MEMBERS,
        "DELETE": AUTHOR_OR_MODERATOR,
    },
    "api-calculation-submit": MEMBERS,
    "api-calculation-withdraw": MEMBERS,
    "api-calculation-cancel": MEMBERS,
    "api-calculation-retry": MEMBERS,
    "api-calculation-duplicate": MEMBERS,
    "api-calculation-approve": may(Can.REVIEW),
    "api-calculation-send-back": may(Can.REVIEW),
    "api-calculation-priority": may(Can.PRIORITISE),
    "api-calculation-events": MEMBERS,
    "api-calculation-state": MEMBERS,
    "api-calculation-files": MEMBERS,
    "api-run-detail": MEMBERS,
    "api-run-files": MEMBERS,
    "api-software-list": SIGNED_IN,
    "api-software-detail": SIGNED_IN,
    "api-software-preview": SIGNED_IN,
}
CLUSTERS: dict[str, Rules] = {
    "agent-file": PUBLIC,
    "agent-checksum": PUBLIC,
    "cluster-list": SIGNED_IN,
    "cluster-register": may(Can.MANAGE_CLUSTERS),
    "cluster-detail": SIGNED_IN,
    "cluster-card": SIGNED_IN,
    "cluster-metrics": SIGNED_IN,
    "cluster-edit": may(Can.MANAGE_CLUSTERS),
    "cluster-disable": may(Can.MANAGE_CLUSTERS),
    "cluster-enable": may(Can.MANAGE_CLUSTERS),
    "cluster-delete": may(Can.MANAGE_CLUSTERS),
    "cluster-agent": SIGNED_IN,
    "cluster-key-issue": may(Can.MANAGE_CLUSTERS),
    "cluster-key-revoke": may(Can.MANAGE_CLUSTERS),
    "cluster-orphan-adopt": may(Can.ADOPT_ORPHANS),
    "log-list": SIGNED_IN,
    "log-lines": SIGNED_IN,
    "log-detail": MEMBERS,
    "log-delete": may(Can.DELETE_LOGS),
    "run-log": MEMBERS,
    "run-log-download": MEMBERS,
    "api-cluster-list": {"GET": SIGNED_IN, "POST": may(Can.MANAGE_CLUSTERS)},
    "api-cluster-detail": {
        "GET": SIGNED_IN,
        "PATCH": may(Can.MANAGE_CLUSTERS),
        "DELETE": may(Can.MANAGE_CLUSTERS),
    },
    "api-cluster-disable": may(Can.MANAGE_CLUSTERS),
    "api-cluster-enable": may(Can.MANAGE_CLUSTERS),
    "api-cluster-metrics": SIGNED_IN,
    "api-cluster-keys": may(Can.MANAGE_CLUSTERS),
    "api-cluster-key-revoke": may(Can.MANAGE_CLUSTERS),
    "api-orphan-list": SIGNED_IN,
    "api-orphan-adopt": may(Can.ADOPT_ORPHANS),
    "api-orphan-detail": MEMBERS,
    "api-logs": {"GET": SIGNED_IN, "DELETE": may(Can.DELETE_LOGS)},
    "api-logs-count": may(Can.DELETE_LOGS),
    "api-log-line": MEMBERS,
    "api-agent-staged-file": NOBODY,  # agents alone, by their key
    "api-agent-retrieved-file": NOBODY,
}
RULES: dict[str, Rules] = PEOPLE | PEOPLE_API | OPERATION | CALCULATIONS | CLUSTERS


#: What must stand in a request for it to come as far as the question who may.
BODIES: dict[str, dict[str, Any]] = {
    "api-calculation-priority": {"priority": 1},
}


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


def notification(world: World) -> Notification:
    return world.thing("notification", lambda _: NotificationFactory(user=world.people["ada"]))


def a_draft(world: World) -> Calculation:
    return world.thing(
        "draft", lambda _: draft(world.people["ada"], project=project(world), name="Draft")
    )


def queued(world: World) -> Calculation:
    return world.thing("queued", lambda _: submitted(world.people["ada"], project=project(world)))


def run(world: World) -> Run:
    return queued(world).runs.order_by("index").first()


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


def site(world: World) -> Cluster:
    return world.thing("cluster", lambda _: cluster("metis"))


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


VALUES: tuple[tuple[str, str, Callable[[World], Any]], ...] = (
    ("project-member-remove", "user_id", pk(mia)),
    ("api-project-member", "user_id", pk(mia)),
    ("user-*", "user_id", pk(target)),
    ("api-user-*", "pk", pk(target)),
    ("*", "slug", lambda world: project(world).slug),
    ("*", "project_id", pk(project)),
    ("api-project-*", "pk", pk(project)),
    ("*", "session_id", pk(browser)),
    ("*", "grant_id", pk(program)),
    ("*", "notification_id", pk(notification)),
    ("api-notification-*", "pk", pk(notification)),
    ("api-software-*", "pk", always("noop")),
    ("api-run-*", "pk", pk(run)),
    ("api-run-files", "file_id", pk(output_file)),
    ("calculation-input-file", "file_id", pk(input_file)),
    ("calculation-output-file", "file_id", pk(output_file)),
    ("api-calculation-files", "name", always("in.txt")),
    ("calculation-detail", "pk", pk(queued)),
    ("calculation-*put-file", "pk", pk(queued)),
    ("calculation-figure", "pk", pk(queued)),
    ("*calculation-*", "pk", pk(a_draft)),
    ("calculation-detail", "tab", always("timeline")),
    ("calculation-figure", "scope", always("0")),
    ("calculation-figure", "dataset", always("progress")),
    ("calculation-figure", "number", always(0)),
    ("cluster-*", "name", lambda world: site(world).name),
    ("cluster-metrics", "chart", always("cpu")),
    ("cluster-key-revoke", "prefix", key_prefix),
    ("cluster-orphan-adopt", "orphan_id", pk(orphan)),
    ("api-cluster-*", "name", lambda world: site(world).name),
    ("api-cluster-key-revoke", "prefix", key_prefix),
    ("api-orphan-*", "pk", pk(orphan)),
    ("*log-*", "line", pk(line)),
    ("run-log*", "run", pk(run)),
    ("api-agent-*", "run", pk(run)),
    ("api-agent-*", "name", always("in.txt")),
    ("api-agent-*", "attempt", always(1)),
)

TOPICS: dict[str, tuple[Callable[[World], str], frozenset[str]]] = {
    "user": (lambda world: f"user:{world.people['ada'].pk}", OWNER),
    "project": (lambda world: f"project:{project(world).pk}", MEMBERS),
    "calculation": (lambda world: f"calculation:{a_draft(world).pk}", MEMBERS),
    "cluster": (lambda world: f"cluster:{site(world).pk}", SIGNED_IN),
    "logs": (lambda world: "logs", SIGNED_IN),
}


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
