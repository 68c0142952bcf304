"""Who is due next: what projects and people have used of their shares, as placement counts it.

Everybody sees their own standing, and how many are before them; who holds VIEW_USAGE sees all.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from django.db.models import Count

from calculations.models import LabSettings, Run
from calculations.states import RunState
from clusters import queueing, usage
from clusters.fairshare import Account, Ledger
from clusters.placement import rules_of
from labportal.accounts.models import Project, User
from labportal.accounts.roles import Can, can
from labportal.common.clock import now


class Shown:
    """What was used and what is due, as parts of the whole."""

    __slots__ = ()
    part: float
    due: float

    @property
    def percent(self) -> str:
        return _percent(self.part)

    @property
    def due_percent(self) -> str:
        return _percent(self.due)


@dataclass(frozen=True, slots=True)
class Line(Shown):
    """A person in a project. `before`: how many others who wait now have a greater factor; `part`
    and `due`: what was used and what should be, of everything that was used, from 0 to 1.
    """

    project: Project
    user: User
    factor: float
    core_hours: float
    part: float
    due: float
    waiting: int
    running: int
    before: int


@dataclass(frozen=True, slots=True)
class ProjectLine(Shown):
    project: Project
    shares: int
    part: float
    due: float


@dataclass(frozen=True, slots=True)
class FairShare:
    half_life_days: float
    aging_days: float
    lines: list[Line] = field(default_factory=list)
    projects: list[ProjectLine] = field(default_factory=list)
    waiting: int = 0  # accounts that wait now


def fair_share(user: User, *, own: bool = False) -> FairShare:
    """Return the standings that `user` may see, the greatest factor first; `own`: theirs alone."""
    settings, moment = LabSettings.current(), now()
    used = usage.used(moment, usage.half_life_s(settings))
    rules = rules_of(settings)
    running: Counter[Account] = Counter()
    for runs in queueing.leased(moment).values():
        for one in runs:
            running[one.account] += 1
            used[one.account] = used.get(one.account, 0.0) + one.elapsed_s * rules.weight(one.need)
    waiting = _waiting()
    accounts = {account for account, core_s in used.items() if core_s >= 1} | set(waiting)
    accounts |= set(running)
    projects = {p.pk: p for p in Project.objects.filter(pk__in={key for key, _ in accounts})}
    shares = {key: project.shares for key, project in projects.items()}
    ledger = Ledger(used, {*waiting, *running}, shares)
    factors = {account: ledger.factor(account) for account in accounts}
    everything = can(user, Can.VIEW_USAGE) and not own
    seen = set(Project.objects.visible_to(user).values_list("pk", flat=True))
    shown = [a for a in accounts if a[0] in seen and (everything or a[1] == user.pk)]
    people = {p.pk: p for p in User.objects.filter(pk__in={person for _, person in shown})}
    lines = [
        Line(
            project=projects[account[0]],
            user=people[account[1]],
            factor=factors[account],
            core_hours=used.get(account, 0.0) / 3600,
            part=ledger.standing(account).used,
            due=ledger.standing(account).share,
            waiting=waiting.get(account, 0),
            running=running[account],
            before=sum(factors[o] > factors[account] for o in waiting if o != account),
        )
        for account in shown
    ]
    lines.sort(key=lambda line: (-line.factor, line.user.username, line.project.name))
    return FairShare(
        half_life_days=settings.half_life_days,
        aging_days=settings.aging_days,
        lines=lines,
        projects=_projects(ledger, projects) if everything else [],
        waiting=len(waiting),
    )


def _waiting() -> dict[Account, int]:
    rows = Run.objects.filter(state=RunState.QUEUED).order_by()
    counted = rows.values_list(*queueing.ACCOUNT).annotate(count=Count("pk"))
    return {(project, user): count for project, user, count in counted}


def _projects(ledger: Ledger, projects: dict[int, Project]) -> list[ProjectLine]:
    lines = []
    for key, project in projects.items():
        standing = ledger.standing((key, 0))
        lines.append(
            ProjectLine(project, project.shares, standing.project_used, standing.project_share)
        )
    return sorted(lines, key=lambda line: (-line.part, line.project.name))


def _percent(part: float) -> str:
    return f"{100 * part:.0f}" if part == 0 or part >= 0.095 else f"{100 * part:.1f}"
