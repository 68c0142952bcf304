"""A report says how far its results may be trusted, and what is left of deleted raw files."""

from __future__ import annotations

from typing import Any

import pytest

from calculations.models import Calculation
from calculations.report import html
from calculations.report import json as as_json
from calculations.report.gather import gather
from calculations.services import standing
from clusters.models import Purge
from labportal.accounts.models import User
from labportal.common.clock import now


@pytest.fixture
def checked(water: Calculation) -> Calculation:
    standing.check([water.pk])
    water.refresh_from_db()
    return water


def test_recorded_results_of_pyscf_pass_the_check(checked: Calculation, text_of: Any) -> None:
    assert (checked.standing, checked.standing_reason) == ("checked", "")
    text = text_of(checked)
    assert "Checked by rule since" in text
    assert "all 5 runs are valid and their results are stored" in text
    assert "Dipole" in text


def test_who_validated_stands_in_it(checked: Calculation, max: User, text_of: Any) -> None:
    standing.validate(checked, actor=max, note="agrees with the paper")
    text = text_of(checked)
    assert "Validated by max since" in text
    assert "agrees with the paper" in text
    assert "validated by max" in text
    trust = as_json.to_json(gather(checked))["trust"]
    assert (trust["standing"], trust["by"]) == ("validated", "max")
    assert "RETRACTED" not in text


def test_a_retraction_stands_on_each_page(checked: Calculation, ada: User, printed: Any) -> None:
    standing.retract(checked, actor=ada, reason="wrong axis")
    pages = [page.extract_text() for page in printed(checked).pages]
    assert len(pages) > 1
    assert all("RETRACTED: wrong axis" in page for page in pages)
    text = html.render(gather(checked)).decode()
    assert text.count("RETRACTED: wrong axis") == 2  # where it is read, and on each printed page


def test_so_does_a_doubt(checked: Calculation, printed: Any) -> None:
    Calculation.objects.filter(pk=checked.pk).update(doubt="derived from C-1, which was retracted")
    checked.refresh_from_db()
    for page in printed(checked).pages:
        assert "IN DOUBT: derived from C-1" in page.extract_text()


def test_of_deleted_raw_files_names_and_checksums_remain(
    checked: Calculation, text_of: Any
) -> None:
    run = checked.runs.first()
    sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    Purge.objects.create(
        cluster=run.cluster,
        run=run,
        attempt=1,
        done_at=now(),
        files=[{"attempt": 1, "name": "big.wfc", "size": 1200, "sha256": sha256}],
        file_count=14,
        file_bytes=1_200_000_000,
    )
    text = text_of(checked)
    assert "1.2 GB in 14 files" in text
    assert "big.wfc" in text
    assert sha256 in text.replace(" ", "")
    (deleted,) = as_json.to_json(gather(checked))["deleted"]
    assert deleted["files"][0]["sha256"] == sha256
