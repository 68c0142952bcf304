"""What the portal goes to a site for: an exchange, a test of the way, the host's keys.

Each is one session of the site's budget; whatever happens, the books are closed by it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from django.db.models import F

from clusters.models import Cluster, SshAccess, SshSession
from clusters.transports.ssh import budget, installation
from clusters.transports.ssh.connection import Connection, Site, ask_for_keys
from clusters.transports.ssh.serving import Outcome, Serving
from clusters.transports.ssh.troubles import Code
from clusters.transports.trials import Trouble

log = logging.getLogger(__name__)

Kind = SshSession.Kind


def exchange(cluster_id: int) -> bool:
    """Exchange with a cluster's agent; return whether more waits to be said at once.

    Nothing is raised for a site that is in trouble, or that has to be left alone for now.
    """
    access = access_of(cluster_id)
    if access is None or access.cluster.carrier != Cluster.Carrier.SSH:
        return False
    try:
        session = budget.claim(access, Kind.EXCHANGE)
    except budget.Denied as denied:
        log.debug("no exchange with %s: %s", access.cluster.name, denied.why)
        return False
    with _books(session):
        outcome = _visit(access, session)
        return outcome.more or _is_wanted(cluster_id)
    return False


def _visit(access: SshAccess, session: SshSession) -> Outcome:
    connection = Connection(Site.of(access))
    connection.open()
    outcome = Serving(connection, access.cluster, access, session).run()
    if outcome.installed:
        return outcome
    installation.install(connection, access)
    outcome = Serving(connection, access.cluster, access, session).run()
    if not outcome.installed:
        raise Trouble(Code.AGENT, f"The agent does not speak over there: {outcome.said}")
    return outcome


def _is_wanted(cluster_id: int) -> bool:
    wanted = SshAccess.objects.filter(cluster=cluster_id, cluster__desired__gt=F("told"))
    return wanted.exists()


def scan(session: SshSession) -> None:
    """Ask the host for its keys and keep them until somebody confirms or drops them."""
    access = SshAccess.objects.get(cluster=session.cluster_id)
    with _books(session):
        keys = ask_for_keys(access.host, access.port)
        SshAccess.objects.filter(pk=access.pk).update(offered_host_keys="\n".join(keys))


def access_of(cluster_id: int) -> SshAccess | None:
    return SshAccess.objects.select_related("cluster").filter(cluster=cluster_id).first()


@contextmanager
def _books(session: SshSession) -> Iterator[None]:
    """Close the session by how it ended; a site's trouble goes no further than its page."""
    try:
        yield
    except Trouble as trouble:
        log.warning("ssh to cluster %s: %s", session.cluster_id, trouble)
        budget.end(session, trouble)
    except BaseException as error:
        budget.end(session, Trouble(Code.OTHER, f"The portal failed: {type(error).__name__}."))
        raise
    else:
        budget.end(session)
