"""Sums that are the same in any order, measures as they are published, and a Parquet file that
pyarrow reads.
"""

from __future__ import annotations

import io
import math

import numpy
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calculations.software.torch_inference.program import parquet, sums

RANDOM = numpy.random.default_rng(7)
TRUTH = RANDOM.uniform(0.0, 0.4, 500).astype("f4")
PREDICTED = (TRUTH + RANDOM.normal(0.0, 0.02, 500)).astype("f4")


def parts(sizes: list[int]) -> list[list[float]]:
    """The sums of the 500 samples, cut into partitions of these sizes and a rest."""
    found, begin = [], 0
    for end in [*numpy.cumsum(sizes).tolist(), 500]:
        end = min(int(end), 500)
        cut = slice(begin, end)
        found.append(sums.of_partition(PREDICTED[cut], TRUTH[cut], batches=1, bits=end - begin))
        begin = end
    return found


def test_measures_are_those_of_the_definitions() -> None:
    found = sums.measures(sums.added(parts([200])))
    p, z = PREDICTED.astype("f8"), TRUTH.astype("f8")
    dz = (p - z) / (1 + z)
    assert found["mae"] == pytest.approx(numpy.abs(p - z).mean())
    assert found["mse"] == pytest.approx(((p - z) ** 2).mean())
    assert found["bias"] == pytest.approx(dz.mean())
    r2 = 1 - ((p - z) ** 2).sum() / ((z - z.mean()) ** 2).sum()
    assert found["r2"] == pytest.approx(r2)
    precision = 1.48 * numpy.median(numpy.abs(dz - numpy.median(dz)))
    assert sums.precision(PREDICTED, TRUTH) == pytest.approx(precision, rel=1e-6)


@given(sizes=st.lists(st.integers(0, 200), max_size=6), seed=st.integers(0, 99))
def test_sums_do_not_hang_on_the_order_of_partitions(sizes: list[int], seed: int) -> None:
    rows = parts(sizes)
    mixed = list(numpy.random.default_rng(seed).permutation(numpy.array(rows)))
    assert sums.added(rows) == sums.added(mixed)
    whole, cut = sums.added(parts([])), sums.added(rows)
    cut[sums.NAMES.index("batches")] = 1.0  # each partition has its own
    assert sums.difference(cut, whole) < 1e-12


def test_what_is_not_finite_is_counted_and_left_out() -> None:
    found = dict(
        zip(
            sums.NAMES,
            sums.of_partition(
                numpy.array([0.1, math.nan, math.inf], "f4"),
                numpy.array([0.1, 0.2, 0.3], "f4"),
                batches=1,
                bits=3,
            ),
            strict=True,
        )
    )
    assert (found["samples"], found["not_finite"], found["known"]) == (3.0, 2.0, 1.0)


def test_where_no_truth_is_known_nothing_is_measured() -> None:
    found = sums.of_partition(PREDICTED, None, batches=2, bits=8)
    assert sums.measures(found) == {}
    assert sums.precision(PREDICTED, numpy.full(500, math.nan, "f4")) is None


def test_sums_that_differ_in_a_count_differ_without_bound() -> None:
    one = parts([])[0]
    other = [one[0] + 1, *one[1:]]
    assert sums.difference(one, other) == math.inf
    assert sums.difference(one, one) == 0.0


@settings(deadline=None)
@given(sizes=st.lists(st.integers(0, 3000), max_size=20))
def test_a_table_is_what_pyarrow_reads(sizes: list[int]) -> None:
    columns = {"row": parquet.INT32, "prediction": parquet.FLOAT}
    rows, values = [], []
    groups = []
    for number, size in enumerate(sizes):
        row = numpy.arange(size, dtype="<i4") * (number + 1) - 5
        value = numpy.sqrt(numpy.arange(size)).astype("<f4")
        rows.append(row)
        values.append(value)
        groups.append((size, {"row": row.tobytes(), "prediction": value.tobytes()}))
    target = io.BytesIO()
    assert parquet.write_table(target, columns, groups, {"plan": "é"}) == sum(sizes)
    file = pyarrow.parquet.ParquetFile(io.BytesIO(target.getvalue()))
    table = file.read()
    assert table.column_names == ["row", "prediction"]
    assert table.column("row").to_pylist() == numpy.concatenate([*rows, []]).tolist()
    assert table.column("prediction").to_pylist() == numpy.concatenate([*values, []]).tolist()
    assert file.metadata.num_row_groups == len(sizes)
    assert file.schema_arrow.metadata == {b"plan": "é".encode()}


def test_a_column_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="are no 2 values"):
        parquet.write_table(io.BytesIO(), {"a": parquet.FLOAT}, [(2, {"a": b"1234"})], {})
