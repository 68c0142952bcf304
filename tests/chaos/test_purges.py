"""Agent, worker and web are killed between the order to delete raw files and its confirmation: one
tombstone with its list remains, and no file.
"""

from __future__ import annotations

import pytest

from tests.chaos.lab import Lab, Work, until
from tests.chaos.test_kills import VICTIMS

TOMBSTONES = """
    SELECT p.file_count, jsonb_array_length(p.files), r.purged_at IS NOT NULL, r.disk_bytes
    FROM clusters_purge p JOIN calculations_run r ON r.id = p.run_id
    WHERE r.calculation_id = %s AND p.done_at IS NOT NULL"""


def _ended(lab: Lab) -> Work:
    (work,) = lab.submit()
    until(lambda: lab.state(work) == "valid", lambda: lab.story(work))
    lab.closed(work)
    return work


@pytest.mark.parametrize("victim", VICTIMS)
def test_killed_between_the_order_and_its_confirmation(lab: Lab, victim: str) -> None:
    work = _ended(lab)
    lab.proxy.losing = True  # the agent hears nothing, and what it says has no answer
    lab.post(f"/api/v1/calculations/{work.id}/raw-files")
    lab.kill(victim)
    lab.restart(victim)
    lab.tidy()
    until(lambda: bool(lab.ask(TOMBSTONES, work.id)), lambda: lab.story(work))
    ((count, named, purged, left),) = lab.ask(TOMBSTONES, work.id)
    assert count == named > 0
    assert (purged, left) == (True, 0)
