"""How it stands with the way to a cluster that the portal signs in to: for pages, API, health."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.models import QuerySet

from clusters.models import Cluster, SshAccess, SshSession
from clusters.selectors.check import BAD, GOOD, UNKNOWN, WARN, Check
from clusters.services.ssh import SCHEDULERS, fingerprint
from clusters.transports.ssh.trial import NAMES
from clusters.transports.trials import with_left
from labportal.common.clock import now

SHOWN_SESSIONS = 8
CERTIFICATE_ENDS_SOON_S = 14 * 86_400


@dataclass(frozen=True, slots=True)
class HostKey:
    """A key of the host; `confirmed`: whether it is trusted already."""

    kind: str
    fingerprint: str
    confirmed: bool


@dataclass(frozen=True, slots=True)
class Way:
    """Everything that the page of a way shows. `access` is None before the first form is sent."""

    access: SshAccess | None
    offered: tuple[HostKey, ...]
    confirmed: tuple[HostKey, ...]
    test: SshSession | None
    scanning: SshSession | None
    sessions: tuple[SshSession, ...]

    @property
    def scheduler(self) -> str:
        return SCHEDULERS.get(self.access.scheduler, "") if self.access else ""

    @property
    def authorized_line(self) -> str:
        return f"restrict {self.access.public_key}" if self.access else ""

    @property
    def testing(self) -> bool:
        return self.test is not None and is_open(self.test)

    @property
    def steps(self) -> list[dict[str, Any]]:
        """The steps of the last test, those that were not done as well."""
        return with_left(self.test.steps if self.test else (), NAMES)


def way_of(cluster: Cluster) -> Way:
    access = SshAccess.objects.filter(cluster=cluster).select_related("confirmed_by").first()
    sessions = cluster.ssh_sessions.order_by("-began_at")
    trusted = access.host_keys.splitlines() if access else []
    offered = access.offered_host_keys.splitlines() if access else []
    return Way(
        access=access,
        offered=tuple(_host_key(line, line in trusted) for line in offered),
        confirmed=tuple(_host_key(line, True) for line in trusted),
        test=sessions.filter(kind=SshSession.Kind.TEST).first(),
        scanning=_open(sessions.filter(kind=SshSession.Kind.SCAN)).first(),
        sessions=tuple(sessions.filter(kind=SshSession.Kind.EXCHANGE)[:SHOWN_SESSIONS]),
    )


def is_open(session: SshSession) -> bool:
    return session.ended_at is None and session.expires_at > now()


def _open(sessions: QuerySet[SshSession]) -> QuerySet[SshSession]:
    return sessions.filter(ended_at=None, expires_at__gt=now())


def _host_key(line: str, confirmed: bool) -> HostKey:
    kind = line.split()[0].removeprefix("ssh-").removeprefix("ecdsa-sha2-")
    return HostKey(kind, fingerprint(line), confirmed)


def ssh_checks(cluster: Cluster) -> list[Check]:
    """The lines of the health card about the way there."""
    access = SshAccess.objects.filter(cluster=cluster).first()
    if access is None:
        remedy = "Say host, user and work folder on the tab “Access”."
        return [Check("SSH", UNKNOWN, "Not set up", "the portal does not know the way", remedy)]
    checks = [_way(access), _host_keys(access)]
    ends = certificate_ends(access.certificate)
    if ends is not None:
        checks.append(_certificate(ends))
    return checks


def _way(access: SshAccess) -> Check:
    where = f"{access.user}@{access.host}"
    if access.held_at:
        remedy = "Mend it, then press “Try again” on the tab “Access”: until then nothing is tried."
        found = f"{access.last_error} Held"
        return Check("SSH", BAD, "Held", found, remedy, access.held_at)
    if access.failures:
        found = f"{access.last_error} Failed {access.failures} in a row; the next try"
        return Check("SSH", WARN, "Failing", found, when=access.not_before)
    if access.last_try_at is None:
        return Check("SSH", UNKNOWN, "Never tried", where, "Press “Test” on the tab “Access”.")
    return Check("SSH", GOOD, "Good", f"{where}, last visit", when=access.last_try_at)


def _host_keys(access: SshAccess) -> Check:
    if not access.host_keys:
        remedy = "Ask the host for its keys on the tab “Access”, compare them and confirm."
        return Check("Host key", BAD, "Not confirmed", "nothing is sent there yet", remedy)
    return Check("Host key", GOOD, "Good", "confirmed", when=access.confirmed_at)


def _certificate(ends: datetime) -> Check:
    left = (ends - now()).total_seconds()
    remedy = "Have the site issue another and enter it on the tab “Access”."
    if left <= 0:
        return Check("Certificate", BAD, "Expired", "ended", remedy, ends)
    if left < CERTIFICATE_ENDS_SOON_S:
        return Check("Certificate", WARN, "Ends soon", "ends", remedy, ends)
    return Check("Certificate", GOOD, "Good", "ends", when=ends)


def certificate_ends(certificate: str) -> datetime | None:
    """When a certificate ends; None where there is none or it never does."""
    if not certificate:
        return None
    from cryptography.hazmat.primitives.serialization import load_ssh_public_identity

    before = load_ssh_public_identity(certificate.encode()).valid_before
    return datetime.fromtimestamp(before, UTC) if before < 2**40 else None
