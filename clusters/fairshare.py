"""Who is due next: what projects and people have used against their shares. Pure.

Use is counted in core seconds and halves with each half-life, as in Slurm. A factor is
2^(-used / share), 1 for who has used nothing: half of the exponent is the project's use of its
share, half the person's use of theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Account = tuple[int, int]  # project and person
NOTHING = 1e-6  # core seconds: of less, shares are smaller than numbers can be
GROWN = 1.02  # so much more use in all, and every factor is worth to be computed anew


def decayed(core_s: float, *, age_s: float, half_life_s: float) -> float:
    """Return what is left of a use after `age_s`; a use in the future counts in full."""
    return core_s * 2.0 ** (-max(0.0, age_s) / half_life_s)


@dataclass(frozen=True, slots=True)
class Standing:
    """Parts of the whole, from 0 to 1, and the factor that follows from them."""

    project_used: float
    project_share: float
    used: float
    share: float

    @property
    def factor(self) -> float:
        if not self.project_share:
            return 1.0
        over = self.project_used / self.project_share + self.used / self.share
        return 2.0 ** (-over / 2.0)


class Ledger:
    """What each account has used so far, with what is handed to it meanwhile.

    `shares`: of projects, 1 where nothing is said. `present`: the accounts that want something now;
    the people among them part the share of their project evenly.
    """

    def __init__(
        self,
        used: Mapping[Account, float],
        present: Iterable[Account],
        shares: Mapping[int, float] | None = None,
    ) -> None:
        self._used = dict(used)
        self._present = set(present)
        self._people: dict[int, int] = {}
        for project, _ in self._present:
            self._people[project] = self._people.get(project, 0) + 1
        self._projects: dict[int, float] = dict.fromkeys(self._people, 0.0)
        for (project, _), core_s in self._used.items():
            self._projects[project] = self._projects.get(project, 0.0) + core_s
        given = shares or {}
        self._shares = {project: float(given.get(project, 1.0)) for project in self._projects}
        self._all_shares = sum(self._shares.values())
        self.total = sum(self._projects.values())

    def standing(self, account: Account) -> Standing:
        project = account[0]
        part = self._shares.get(project, 0.0) / self._all_shares if self._all_shares else 0.0
        people = self._people.get(project, 0) + (account not in self._present)
        total = self.total or 1.0
        return Standing(
            project_used=self._projects.get(project, 0.0) / total,
            project_share=part,
            used=self._used.get(account, 0.0) / total,
            share=part / people,
        )

    def factor(self, account: Account) -> float:
        """What `standing` says; asked thousands of times in a round."""
        project = account[0]
        if self.total <= NOTHING or project not in self._shares:
            return 1.0
        people = self._people.get(project, 0) + (account not in self._present)
        over = self._projects[project] + people * self._used.get(account, 0.0)
        share = self._shares[project] * self.total / self._all_shares
        return 2.0 ** (-over / share / 2.0)

    def charge(self, account: Account, core_s: float) -> None:
        self._used[account] = self._used.get(account, 0.0) + core_s
        self._projects[account[0]] = self._projects.get(account[0], 0.0) + core_s
        self.total += core_s
