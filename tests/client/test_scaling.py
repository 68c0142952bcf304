"""The command `scaling` against a portal that holds runs over several numbers of ranks."""

from __future__ import annotations

import csv
import io

import pytest

from bench.stack import Stack
from tests.client.conftest import Call, document

pytestmark = [pytest.mark.xdist_group("client"), pytest.mark.timeout(180)]
RUNS = """
import json, os
from labportal.accounts.models import User
from tests.calculations.scaling.runs import calculation
person = User.objects.get(username=os.environ["BENCH_PERSON"])
print(json.dumps([calculation(person, {1: 20.0, 2: 11.0, 4: 7.0}).number,
                  calculation(person, {8: 6.0}).number]))
"""


def test_ranks_are_compared_in_a_terminal(signed_in: Call, stack: Stack) -> None:
    one, two = stack.python(RUNS)
    said = signed_in("scaling", one, "--with", two, "--core-hour", "0.05", "--deadline", "12")
    assert "on the cluster N = 1" in said.output and "in time N = 2" in said.output
    assert "start-up 2 s, +0.1 s in a + b·N" in said.output
    (work,) = document(signed_in("scaling", one, "--with", two, "--json"))["works"]
    assert [point["ranks"] for point in work["points"]] == [1, 2, 4, 8]
    rows = list(csv.reader(io.StringIO(signed_in("scaling", one, "--csv").stdout)))
    assert len(rows) == 4
    assert "deadline" in signed_in("scaling", one, "--deadline", "-1", code=2).output
