"""The report as one HTML file: what the PDF says, nothing from elsewhere, nothing obeyed."""

from __future__ import annotations

import html as entities
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from calculations.models import Calculation
from calculations.report import blocks, html
from calculations.report.gather import gather
from calculations.report.story import story
from tests.calculations.factories import submitted
from tests.calculations.report.siesta import silicon_bands
from tests.calculations.report.test_pdf import dressed
from tests.calculations.rest import api, problem

VOID = {"meta", "br", "link", "img", "input"}
ADDRESSES = {"src", "href", "data", "action", "srcset", "poster", "xlink:href"}


class Reader(HTMLParser):
    """Elements in order with their attributes; complains where tags do not nest."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attributes}))
        if tag not in VOID and not self.get_starttag_text().endswith("/>"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attributes}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    def all(self, *tags: str) -> Iterator[tuple[str, dict[str, str]]]:
        return ((tag, found) for tag, found in self.elements if tag in tags)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def read(calculation: Calculation) -> Reader:
    reader = Reader()
    reader.feed(html.render(gather(calculation)).decode())
    assert reader.open == []
    return reader


def test_it_says_what_the_pdf_says_in_the_same_order(water: Calculation) -> None:
    page, place = read(water).text, 0
    for block in story(gather(water)):
        for words in said(block):
            found = page.find(re.sub(r"\s+", " ", words).strip(), place)
            assert found >= 0, f"{words!r} is missing, or not in its place"
            place = found


def said(block: blocks.Block) -> list[str]:
    match block:
        case blocks.Title():
            return [block.words, block.under]
        case blocks.Text() | blocks.Heading():
            return [blocks.lines_of(block.words)[0]]
        case blocks.Grid():
            rows = [c.words if isinstance(c, blocks.Cell) else c for row in block.rows for c in row]
            return [head for head, _ in block.heads] + [blocks.lines_of(w)[0] for w in rows if w]
        case blocks.Facts():
            return [label for label, _ in block.rows]
        case blocks.Figures():
            return [figure.caption for figure in block.figures]
        case blocks.Together():
            return [words for inner in block.blocks for words in said(inner)]
    return []


def test_nothing_comes_from_elsewhere_and_nothing_runs(water: Calculation) -> None:
    page = read(water)
    assert not list(page.all("script", "link", "iframe", "object", "embed", "img", "form", "base"))
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        for name in ADDRESSES & set(attributes):
            assert attributes[name].startswith("#"), (tag, attributes)
    text = html.render(gather(water)).decode()
    assert set(re.findall(r"url\(([^)]{0,20})", text)) <= {"data:font/woff;base64"[:20]} | {
        reference[:20] for reference in re.findall(r"url\((#[^)]*)\)", text)
    }
    assert "@import" not in text and "Content-Security-Policy" in text


def test_figures_are_pictures_with_words_and_tables_have_heads(water: Calculation) -> None:
    page = read(water)
    pictures = [attributes for _, attributes in page.all("svg")]
    assert len(pictures) == len(list(page.all("figcaption"))) == 6
    assert pictures[0]["role"] == "img"
    assert pictures[0]["aria-label"].startswith("Total energy / eV against Electric field, z / a.u")
    assert "5 points from −2078.56348 to −2078.11930 eV" in pictures[0]["aria-label"]
    tables = len(list(page.all("table")))
    assert tables == len(list(page.all("thead"))) > 5
    assert {a["scope"] for _, a in page.all("th")} == {"col", "row"}
    assert [tag for tag, _ in page.all("h1")] == ["h1"]
    levels = [int(tag[1]) for tag, _ in page.all("h1", "h2", "h3", "h4")]
    steps = zip(levels[1:], levels, strict=False)
    assert all(after - before <= 1 for after, before in steps)


def test_ids_are_there_once_and_references_lead_to_them(water: Calculation) -> None:
    page = read(water)
    named = [a["id"] for _, a in page.elements if "id" in a]
    assert len(named) == len(set(named)) > 0
    uses = {a["href"][1:] for _, a in page.all("use")}
    clips = {a["clip-path"][5:-1] for _, a in page.elements if "clip-path" in a}
    assert uses | clips <= set(named)


def test_the_typeface_of_the_figures_holds_their_characters(water: Calculation) -> None:
    import base64
    from io import BytesIO

    from fontTools.ttLib import TTFont

    page = html.render(gather(water)).decode()
    found = re.search(r"base64,([A-Za-z0-9+/=]+)", page)
    held = set(TTFont(BytesIO(base64.b64decode(found.group(1)))).getBestCmap())
    written = entities.unescape("".join(re.findall(r"<text [^>]*>([^<]*)</text>", page)))
    assert {ord(letter) for letter in written} <= held
    assert len(page) < 200_000


@pytest.mark.parametrize(
    "words",
    [
        '<script>alert(1)</script><img src=x onerror="alert(1)">',
        '"><svg onload=alert(1)>',
        "</style></title><b>bold</b> & {{ x }} {% y %}",
        "]]> <!-- &lt; javascript:alert(1) \x07\u202e",
    ],
)
def test_markup_is_shown_and_not_obeyed(words: str, ada: Any) -> None:
    page = read(dressed(submitted(ada, name=words, description=words), words))
    assert not list(page.all("script", "img", "b"))
    assert not [a for _, a in page.elements if any(name.startswith("on") for name in a)]
    assert page.text.count(re.sub(r"\s+", " ", blocks.clean(words)).strip()) >= 5


def test_bands_have_their_corners_and_their_zero(ada: Any) -> None:
    calculation = silicon_bands(ada)
    page = html.render(gather(calculation)).decode()
    (bands,) = [
        figure
        for figure in re.findall(r"<figure.*?</figure>", page, re.DOTALL)
        if "Band structure" in figure
    ]
    labels = re.findall(r"<text [^>]*>([^<]*)</text>", bands)
    assert {"L", "Γ", "X"} <= set(labels)
    assert "stroke-dasharray" in bands  # the top of the valence bands
    assert "nothing above 10 eV" in bands
    assert "the valence bands / eV" in " ".join(labels)


def test_a_draft_has_none_and_a_large_one_is_made_in_the_background(
    thousand: Calculation, ada: Any, client: Client
) -> None:
    client.force_login(ada)
    for form in ("pdf", "html"):
        answer = client.get(reverse(f"calculation-report-{form}", args=[thousand.pk]))
        assert answer.status_code == 302
        assert answer.url.endswith(f"?calculation={thousand.pk}&kind=report-{form}")
        page = client.get(answer.url).content.decode()
        assert f'value="report-{form}" checked' in page
        told = api(ada).get(f"/api/v1/calculations/{thousand.pk}/report.{form}")
        assert "/api/v1/exports/" in problem(told, 409, "too-many-runs")["detail"]


def test_it_is_saved_under_its_number(water: Calculation, ada: Any, client: Client) -> None:
    client.force_login(ada)
    for name in ("calculation-report-html", "api-calculation-report-html"):
        answer = client.get(reverse(name, args=[water.pk]))
        assert answer["Content-Type"] == "text/html; charset=utf-8"
        assert answer["Content-Disposition"] == f'attachment; filename="C-{water.pk}-report.html"'
