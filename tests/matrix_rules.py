"""The table of roles, route by route: who may come in. A route without its line fails.

A rule is for all methods, or a dict by method; a method that the dict leaves out is open to nobody.
The objects behind the routes are made by tests/matrix_objects.py.
"""

from collections.abc import Callable
from typing import Any

from labportal.accounts.roles import Can
from tests.matrix import (
    MANAGERS,
    MEMBERS,
    NOBODY,
    OWNER,
    PUBLIC,
    SIGNED_IN,
    Rule,
    Rules,
    World,
    may,
)
from tests.matrix_objects import a_draft, project, site

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
    "email-test": may(Can.MANAGE_SETTINGS),
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
    "calculation-charts": MEMBERS,
    "calculation-report-pdf": MEMBERS,
    "calculation-report-json": MEMBERS,
    "review-list": may(Can.REVIEW),
    "review-decide": may(Can.REVIEW),
    "lab-settings": may(Can.MANAGE_SETTINGS),
    "announcement-read": SIGNED_IN,
    "storage-test": may(Can.MANAGE_SETTINGS),
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
    "api-calculation-charts": MEMBERS,
    "api-calculation-report": MEMBERS,
    "api-calculation-report-pdf": MEMBERS,
    "api-calculation-runs-csv": MEMBERS,
    "api-dataset-csv": MEMBERS,
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

TOPICS: dict[str, tuple[Callable[[World], str], Rule]] = {
    "user": (lambda world: f"user:{world.people['ada'].pk}", OWNER),
    "project": (lambda world: f"project:{project(world).pk}", MEMBERS),
    "calculation": (lambda world: f"calculation:{a_draft(world).pk}", MEMBERS),
    "cluster": (lambda world: f"cluster:{site(world).pk}", SIGNED_IN),
    "logs": (lambda world: "logs", SIGNED_IN),
}
