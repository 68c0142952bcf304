"""What clusters announce to the shared rooms at start: topics, listeners, navigation, panels.

Called by the AppConfig alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from calculations import signals
from clusters import panels, usage
from clusters.calling import call, register_caller
from clusters.models import Cluster
from clusters.retention import withdraw
from clusters.tasks import want_place
from clusters.transports.aws.tasks import want_exchange as want_aws_exchange
from clusters.transports.queue import wake_node
from clusters.transports.ssh.tasks import want_exchange
from labportal.accounts.models import Project, User
from labportal.accounts.roles import Can, can
from labportal.common.navigation import NavEntry, Section, register_nav
from labportal.common.panels import register_panel
from labportal.realtime.topics import register_topic


def register() -> None:
    register_topic("cluster", _may_hear_cluster)
    register_topic("logs", _may_hear_logs)
    register_nav(
        NavEntry("Clusters", "cluster-list", key="k", order=60),
        NavEntry("Logs", "log-list", key="l", order=70),
        NavEntry(
            "Fair share",
            "fair-share",
            needs=lambda user: can(user, Can.VIEW_USAGE),
            section=Section.ADMINISTRATION,
            order=76,
        ),
        NavEntry(
            "Licences",
            "licence-list",
            needs=lambda user: can(user, Can.MANAGE_CLUSTERS),
            section=Section.ADMINISTRATION,
            order=78,
        ),
        NavEntry(
            "Storage",
            "storage",
            needs=lambda user: can(user, Can.VIEW_STORAGE),
            section=Section.ADMINISTRATION,
            order=80,
        ),
    )
    register_panel("dashboard.needs", "clusters", panels.needs, order=60)
    register_panel("dashboard.side", "clusters", panels.cards, order=10)
    register_panel("calculation.files", "raw", panels.raw_files)
    register_panel("project.side", "storage", panels.project_storage)
    register_panel("profile.side", "fair-share", panels.own_fair_share, order=40)
    register_panel("profile.side", "storage", panels.own_storage)
    register_panel("calculation.log", "run", panels.run_log)
    register_panel("calculation.use", "meanwhile", panels.meanwhile)
    register_panel("calculation.overview", "log", panels.short_run_log, order=80)
    signals.work_queued.connect(want_place, dispatch_uid="clusters.place")
    signals.settled.connect(want_place, dispatch_uid="clusters.place_next")
    signals.attempts_ended.connect(usage.charge, dispatch_uid="clusters.charge_usage")
    signals.files_kept.connect(withdraw, dispatch_uid="clusters.withdraw_purges")
    signals.cancel_requested.connect(_call, dispatch_uid="clusters.cancel")
    register_caller(Cluster.Carrier.SSH, want_exchange)
    register_caller(Cluster.Carrier.QUEUE, wake_node)
    register_caller(Cluster.Carrier.AWS, want_aws_exchange)


def _may_hear_cluster(user: User, key: str) -> bool:
    return can(user, Can.SIGN_IN) and key.isdecimal() and Cluster.objects.filter(pk=key).exists()


def _may_hear_logs(user: User, key: str) -> bool:
    """ "logs" is the clusters' own lines, "logs:3" those of the runs of a project."""
    if not key:
        return can(user, Can.SIGN_IN)
    return key.isdecimal() and Project.objects.visible_to(user).filter(pk=key).exists()


def _call(cluster_ids: Iterable[int], **_: Any) -> None:
    call(set(cluster_ids))
