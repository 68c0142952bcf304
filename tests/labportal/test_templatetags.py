"""Numbers, times and third-party files as pages show them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.template import engines
from django.utils import timezone

from labportal.common import vendor
from labportal.common.templatetags import components
from labportal.common.templatetags import labportal as tags

NOW = datetime(2026, 11, 21, 14, 2, 5, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tags, "now", lambda: NOW)


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (-76.271971, 8, "\u221276.271971"),
        (1.9, 4, "1.900"),
        (0, 4, "0"),
        (0.0, 4, "0"),
        (1234567, 4, "1\u202f234\u202f567"),
        (1234, 4, "1234"),
        (12345.678, 7, "12\u202f345.68"),
        (9.9996, 4, "10.00"),
        (1.23e-9, 3, "1.23\u00a0\u00d7\u00a010\u207b\u2079"),
        (-2.5e12, 2, "\u22122.5\u00a0\u00d7\u00a010\u00b9\u00b2"),
        (float("nan"), 3, "nan"),
        ("abc", 3, "\u2013"),
        (None, 3, "\u2013"),
    ],
)
def test_a_number_has_as_many_digits_as_it_means(value: Any, digits: int, text: str) -> None:
    assert tags.number(value, digits) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.42, "0.42 s"),
        (12, "12 s"),
        (245, "4 min 05 s"),
        (3840, "1 h 04 min"),
        (timedelta(days=2, hours=3), "2 d 03 h"),
        (59.7, "1 min 00 s"),
        (None, "\u2013"),
    ],
)
def test_a_duration_is_read_at_a_glance(value: Any, text: str) -> None:
    assert tags.duration(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (2, "just now"),
        (42, "42 s ago"),
        (200, "3 min ago"),
        (7300, "2 h ago"),
        (3 * 86_400, "3 d ago"),
        (-300, "in 5 min"),
        (60 * 86_400, "22 Sep 2026"),
    ],
)
def test_a_time_is_relative_with_the_exact_one_on_hover(seconds: int, text: str) -> None:
    html = tags.ago(NOW - timedelta(seconds=seconds))
    assert f">{text}</time>" in html
    assert 'title="2026-' in html


def test_the_exact_time_is_in_the_persons_zone() -> None:
    with timezone.override("Europe/Madrid"):
        assert tags.exact(NOW) == "2026-11-21 15:02:05 CET"


@pytest.mark.parametrize(("size", "text"), [(512, "512 B"), (1400, "1.4 kB"), (23e6, "23 MB")])
def test_a_size_has_a_unit(size: float, text: str) -> None:
    assert tags.file_size(size) == text


@pytest.fixture
def assets(tmp_path: Path, settings: Any) -> Path:
    settings.BASE_DIR = tmp_path
    (tmp_path / "node_modules/uplot/dist").mkdir(parents=True)
    (tmp_path / "node_modules/uplot/dist/uPlot.iife.min.js").write_text("var uPlot;")
    (tmp_path / "node_modules/uplot/dist/other.js").write_text("var other;")
    vendor.integrity.cache_clear()
    from django.contrib.staticfiles.finders import get_finder

    get_finder.cache_clear()
    yield tmp_path
    vendor.integrity.cache_clear()
    get_finder.cache_clear()


def test_a_third_party_script_has_the_integrity_of_its_file(assets: Path) -> None:
    page = engines["django"].from_string('{% vendor_script "uplot/uPlot.iife.min.js" %}').render()
    assert page == (
        '<script defer src="/static/vendor/uplot/uPlot.iife.min.js" integrity="'
        f'{vendor.integrity("vendor/uplot/uPlot.iife.min.js")}"></script>'
    )
    assert "sha384-" in page


def test_only_listed_files_are_served(assets: Path) -> None:
    finder = vendor.VendorFinder()
    assert finder.find("vendor/uplot/uPlot.iife.min.js")
    for path in ("vendor/uplot/other.js", "vendor/uplot/../../package.json", "vendor/x/y.js"):
        assert not finder.find(path)
    listed = [name for name, storage in finder.list([]) if storage.prefix == "vendor/uplot"]
    assert listed == ["uPlot.iife.min.js"]


def test_packages_that_are_not_there_are_named(assets: Path) -> None:
    assert "htmx.org/dist" in vendor.missing()


@pytest.mark.parametrize(
    ("counts", "squares"),
    [
        ((812, 120, 68), [19, 3, 2]),
        ((998, 1, 1), [22, 1, 1]),
        ((1, 9999), [1, 23]),
        ((3, 2), [3, 2]),
        ((1000,), [24]),
    ],
)
def test_many_runs_are_squares_in_proportion(counts: tuple[int, ...], squares: list[int]) -> None:
    given = [(f"s{i}", f"S{i}", count) for i, count in enumerate(counts)]
    drawn = components.shares(given)
    states = [cell["state"] for cell in drawn["cells"]]
    assert [states.count(f"s{i}") for i in range(len(counts))] == squares
    assert drawn["count"] == sum(counts)
