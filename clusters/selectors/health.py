"""Is this machine healthy? Checks, each with what was found and, where it is bad, the remedy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from clusters import updates
from clusters.agent import __version__ as PORTALS_VERSION
from clusters.models import HELD_AFTER, ApiKey, Cluster
from clusters.selectors.aws import aws_checks
from clusters.selectors.check import BAD, GOOD, UNKNOWN, WARN, Check
from clusters.selectors.clusters import number, software
from clusters.selectors.machine import machine_checks
from clusters.selectors.ssh import ssh_checks
from labportal.common.clock import now

CLOCK_OK_S, CLOCK_BAD_S = 5, 60
DISK_OK_MIB, DISK_BAD_MIB = 10 * 1024, 1024
KEY_OLD = timedelta(days=180)
KEY_ENDS_SOON = timedelta(days=14)

BROUGHT = {
    Cluster.Carrier.SSH: "The portal puts its own version there with its next sign-in.",
    Cluster.Carrier.QUEUE: "Stop labportal-node, install the wheel of the tab “Node”, start it.",
}
NOT_FOUND = "not found on this machine"  # what agents say of a program that is not there


def checks(cluster: Cluster, keys: Sequence[ApiKey]) -> list[Check]:
    """`keys`: all of the cluster's."""
    moment = now()
    heard = cluster.last_exchange_at is not None
    if cluster.carrier == Cluster.Carrier.AWS:
        programs = _software(cluster) if heard else ()
        return [*_breaker(cluster), _heard(cluster, moment), *aws_checks(cluster), *programs]
    by_ssh = cluster.carrier == Cluster.Carrier.SSH
    found = [_heard(cluster, moment), *(ssh_checks(cluster) if by_ssh else [_key(keys, moment)])]
    if heard:
        found += [_clock(cluster), _disk(cluster), _version(cluster), *machine_checks(cluster)]
        found += _software(cluster)
    return [*_breaker(cluster), *found]


def _breaker(cluster: Cluster) -> Iterator[Check]:
    if cluster.held_at is not None:
        remedy = (
            "Look at the log for what these runs met: a node, a file system, a licence. Mend it, "
            "then let work in: one run goes first, alone."
        )
        found = cluster.held_reason
        yield Check(
            "Runs", BAD, "Held", found, remedy, cluster.held_at, ask="release", verb="Let work in…"
        )
    elif cluster.on_trial:
        found = "let in again after it was held; its next run goes alone and shows how it is"
        yield Check("Runs", WARN, "On trial", found)
    elif cluster.lost_in_a_row:
        lost = f"{cluster.lost_in_a_row} lost in a row; held after {HELD_AFTER}"
        yield Check("Runs", WARN, "Lost", lost, "The log says what these runs met.")


def _heard(cluster: Cluster, moment: datetime) -> Check:
    if cluster.last_exchange_at is None and cluster.is_visited:
        remedy = "Follow the steps on the tab “Access”."
        return Check("Agent", UNKNOWN, "Never heard", "no exchange yet", remedy)
    if cluster.last_exchange_at is None:
        remedy = "Issue a key, then install the agent by the lines on the tab “Agent”."
        return Check("Agent", UNKNOWN, "Never heard", "no exchange yet", remedy)
    if cluster.is_silent(moment) and cluster.carrier == Cluster.Carrier.SSH:
        remedy = "The portal does not get there: see SSH below."
        return Check("Agent", BAD, "Silent", "last heard", remedy, cluster.last_exchange_at)
    if cluster.is_silent(moment) and cluster.carrier == Cluster.Carrier.AWS:
        remedy = "The portal itself speaks for it: see whether its worker “carriers” runs."
        return Check("Agent", BAD, "Silent", "last heard", remedy, cluster.last_exchange_at)
    if cluster.is_silent(moment):
        remedy = (
            f"On {cluster.agent_host or 'the machine'}, look at “systemctl --user status "
            "labportal-agent” and at agent.log in its work folder. Runs go back to the queue after "
            "five minutes of silence."
        )
        return Check("Agent", BAD, "Silent", "last heard", remedy, cluster.last_exchange_at)
    return Check("Agent", GOOD, "Good", "heard", when=cluster.last_exchange_at)


def _key(keys: Sequence[ApiKey], moment: datetime) -> Check:
    valid = [key for key in keys if is_valid(key, moment)]
    if not valid:
        remedy = "Issue one on the tab “Agent”; without it the agent is refused."
        return Check("Key", BAD, "Missing", "no valid key", remedy)
    used = max(valid, key=lambda key: (key.last_used_at is not None, key.created_at))
    rotate = "Issue a second one, give it to the agent (configure --key), then revoke the old one."
    if used.expires_at and used.expires_at - moment < KEY_ENDS_SOON:
        return Check("Key", WARN, "Ends soon", "expires", rotate, used.expires_at)
    if moment - used.created_at > KEY_OLD:
        return Check("Key", WARN, "Old", "issued", rotate, used.created_at)
    return Check("Key", GOOD, "Good", "issued", when=used.created_at)


def is_valid(key: ApiKey, moment: datetime) -> bool:
    return key.revoked_at is None and (key.expires_at is None or key.expires_at > moment)


def _clock(cluster: Cluster) -> Check:
    skew = cluster.clock_skew_s
    if skew is None:
        return Check("Clock", UNKNOWN, "Not known", "the agent does not tell its clock")
    found = f"{abs(skew):.1f} s {'ahead' if skew > 0 else 'behind'}"
    if abs(skew) <= CLOCK_OK_S:
        return Check("Clock", GOOD, "Good", found)
    state, label = (BAD, "Wrong") if abs(skew) > CLOCK_BAD_S else (WARN, "Off")
    remedy = (
        "Times of logs and metrics are wrong by as much. Set the clock by NTP: "
        "timedatectl set-ntp true."
    )
    return Check("Clock", state, label, found, remedy)


def _disk(cluster: Cluster) -> Check:
    free = number(cluster.capacity.get("disk_free_mib"))
    if free is None:
        return Check("Disk", UNKNOWN, "Not known", "the agent cannot read it")
    found = f"{_size(free / 1024)} free"
    if cluster.purges_pending:
        found += f", {cluster.purges_pending} folders to be deleted"
    if free >= DISK_OK_MIB:
        return Check("Disk", GOOD, "Good", found)
    state, label = (BAD, "Full") if free < DISK_BAD_MIB else (WARN, "Low")
    remedy = "Make room where the agent works, or keep raw files for fewer days (Settings)."
    return Check("Disk", state, label, found, remedy)


def _size(gib: float) -> str:
    if gib >= 1024:
        return f"{gib / 1024:.1f} TiB"
    return f"{gib:.1f} GiB" if gib < 100 else f"{gib:.0f} GiB"


def _version(cluster: Cluster) -> Check:
    theirs = cluster.agent_version or "not known"
    if cluster.update_wanted:
        found = f"{theirs}, asked to change to {cluster.update_wanted}"
        return Check("Version", WARN, "Changing", found, when=cluster.update_wanted_at)
    if updates.is_current(cluster):
        return Check("Version", GOOD, "Good", theirs)
    other = "another build of it" if cluster.agent_version == PORTALS_VERSION else PORTALS_VERSION
    found = f"{theirs}, the portal serves {other}"
    if cluster.carrier != Cluster.Carrier.HTTPS:
        return Check("Version", WARN, "Differs", found, BROUGHT[cluster.carrier])
    if "file_sha256" not in cluster.capacity:
        remedy = (
            "This agent cannot change itself. Download labportal-agent.pyz again (tab “Agent”) and "
            "restart the agent; its programs go on running."
        )
        return Check("Version", WARN, "Differs", found, remedy)
    failed = updates.failure(cluster)
    if failed:
        found = f"{found}. The last change failed: {str(failed['problem'])[:300]}"
    remedy = "One click changes it: it fetches the file, tries it, and its programs go on running."
    state, label = (BAD, "Not changed") if failed else (WARN, "Differs")
    return Check("Version", state, label, found, remedy, ask="update-agent", verb="Update it…")


def _software(cluster: Cluster) -> Iterator[Check]:
    programs = software(cluster.capacity)
    if not any(program.ok for program in programs):
        remedy = (
            "Install one for the agent's user, or name its command in agent.ini, and restart the "
            "agent."
        )
        yield Check("Software", BAD, "None", "no program that the portal knows", remedy)
    for program in programs:
        if program.ok:
            yield Check(program.label, GOOD, "Found", program.version or "version not known")
        elif program.problem and program.problem != NOT_FOUND:
            yield Check(program.label, WARN, "Not usable", program.problem)
    absent = [p.label for p in programs if not p.ok and p.problem in ("", NOT_FOUND)]
    if absent:
        yield Check("Other programs", UNKNOWN, "Not found", ", ".join(absent))
