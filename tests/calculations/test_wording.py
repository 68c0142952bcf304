"""Numbers as reports write them: comparable in a column, and no digit without a meaning."""

from __future__ import annotations

from typing import Any

import pytest

from calculations.wording import column_words, result_words, value_words, with_error


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([5.0, 12.0], ["5", "12"]),
        ([12345.0], ["12\u202f345"]),
        ([-2078.119301234, -2078.223660987], ["−2078.11930", "−2078.22366"]),
        ([-2078.1193012, -2078.1193034], ["−2078.1193012", "−2078.1193034"]),
        ([0.5, 0.25, 1.0], ["0.50", "0.25", "1.00"]),
        ([1.9076490, None, 2.2393640], ["1.907649", "–", "2.239364"]),
        ([1e-3, 2e-10], ["0.0010000", "2.0000\u00a0×\u00a010⁻¹⁰"]),
        ([0.0], ["0"]),
        ([-0.0], ["0"]),
        (["atoms", True, None], ["atoms", "yes", "–"]),
        ([], []),
    ],
)
def test_numbers_of_a_column_share_their_decimals(values: list[Any], words: list[str]) -> None:
    assert column_words(values) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [(6.524819, "6.524819"), (0.99997135, "0.999971"), (1 / 3, "0.3333333"), (0.5, "0.5")],
)
def test_one_number_has_seven_digits_at_most(value: float, words: str) -> None:
    assert result_words(value) == words


def test_total_energies_keep_the_decimals_that_matter() -> None:
    assert result_words(-76.36947552, "Ha") == "−76.369476"
    assert result_words(-2078.119301234, "eV") == "−2078.11930"


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        (6.524819, 0.020165, ("6.525", "0.020")),
        (-76.1234567, 0.00031, ("−76.12346", "0.00031")),
        (6.5, 0.0, ("6.5", "0")),
        (12345.6, 250.0, ("12\u202f345.6", "250")),
    ],
)
def test_a_value_has_the_digits_of_its_error(
    value: float, error: float, words: tuple[str, str]
) -> None:
    assert with_error(value, error) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (-0.005, "−0.005 a.u."),
        (1e-9, "1\u00a0×\u00a010⁻⁹ a.u."),
        (2.0, "2 a.u."),
        (None, "–"),
        ([0.0, 0.0, 1.5], "0 0 1.5 a.u."),
        ("PBE", "the functional PBE a.u."),
    ],
)
def test_a_parameter_is_written_as_it_is_typed(value: Any, words: str) -> None:
    assert value_words(value, "a.u.", choices=(("PBE", "the functional PBE"),)) == words
