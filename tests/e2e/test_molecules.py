"""The structure in 3D under the portal's own security policy, and choosing one in a form."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import APIResponse, Browser, BrowserContext, Page, Route, expect

from tests.e2e.conftest import OpenPage
from tests.e2e.pages import WIDTHS, Walker
from tests.e2e.portal import Portal

#: WebGL by software, which the other tests do without.
DRAWING = (
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
)
IS_DRAWN_ANEW = """async (canvas, before) => {
  for (let tries = 0; tries < 300 && canvas.toDataURL() === before; tries += 1) {
    await new Promise((done) => setTimeout(done, 100));
  }
  return canvas.toDataURL() !== before;
}"""
#: A browser that has WebGL, as by software, is asked not to.
NO_WEBGL = """
const context = HTMLCanvasElement.prototype.getContext;
HTMLCanvasElement.prototype.getContext = function (kind, ...more) {
  return kind.startsWith("webgl") ? null : context.call(this, kind, ...more);
};
"""
SILICON = """2
Lattice="0 2.7155 2.7155 2.7155 0 2.7155 2.7155 2.7155 0"
Si 0 0 0
Si 1.35775 1.35775 1.35775
"""


@pytest.fixture(scope="module")
def drawing(browser: Browser, program: str) -> Iterator[Browser]:
    found = browser.browser_type.launch(executable_path=program, args=list(DRAWING))
    yield found
    found.close()


@pytest.fixture
def drawing_context(
    drawing: Browser, portal: Portal, signed_in: Callable[[str], Any]
) -> Iterator[BrowserContext]:
    """A browser of ada's in which 3D is drawn."""
    with drawing.new_context(
        base_url=portal.url, viewport=WIDTHS["desk"], storage_state=signed_in("ada")
    ) as context:
        yield context


@pytest.fixture
def drawn_page(drawing_context: BrowserContext) -> Iterator[Callable[[str], Page]]:
    """Open a page as ada where 3D is drawn; any error of the page fails the test."""
    errors: list[str] = []

    def open_one(path: str) -> Page:
        page = drawing_context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
        page.goto(path)
        return page

    yield open_one
    assert not errors, "\n".join(errors)


def add_silicon(page: Page) -> None:
    """Keep silicon by the pages; what is there already stays."""
    page.goto("/molecules/new/")
    page.get_by_label("Or pasted text").fill(SILICON)
    page.get_by_role("button", name="Look at it").click()
    expect(page.get_by_text("along a, b and c")).to_be_visible()
    page.get_by_label("Name").fill("Silicon")
    page.get_by_role("button", name="Keep it").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Silicon")


def test_a_crystal_is_drawn_repeated_and_follows_the_colour_scheme(
    drawn_page: Callable[[str], Page],
) -> None:
    page = drawn_page("/molecules/")
    add_silicon(page)
    viewer = page.locator(".viewer.is-drawn")
    expect(viewer.locator("canvas")).to_be_visible()
    expect(viewer.locator("[data-still]")).to_be_hidden()
    viewer.get_by_label("How often the cell is repeated").select_option("2")
    canvas = viewer.locator("canvas")
    before = canvas.evaluate("canvas => canvas.toDataURL()")
    page.emulate_media(color_scheme="dark")
    assert canvas.evaluate(IS_DRAWN_ANEW, before)
    viewer.get_by_role("button", name="labels").click()
    expect(viewer.get_by_role("button", name="labels")).to_have_attribute("aria-pressed", "true")


def test_a_page_with_a_drawn_structure_is_whole(
    drawing_context: BrowserContext, portal: Portal
) -> None:
    walker = Walker(drawing_context, "ada")
    seen = walker.visit(f"/molecules/{portal.things['structure']}/", "molecule-drawn")
    expect(walker.page.locator(".viewer.is-drawn")).to_be_visible()
    assert not seen.complaints, "\n".join(seen.complaints)


def test_atoms_that_are_clicked_are_measured(
    drawn_page: Callable[[str], Page], portal: Portal
) -> None:
    page = drawn_page(f"/molecules/{portal.things['structure']}/")
    viewer = page.locator(".viewer.is-drawn")
    viewer.get_by_role("button", name="measure").click()
    words = viewer.locator("[data-measured]")
    expect(words).to_contain_text("Choose two atoms")
    stage = viewer.locator("[data-stage]")
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    assert box
    # The molecule stands amid the stage: somewhere on a grid around the middle are its atoms.
    for step in range(81):
        x = box["width"] / 2 + (step % 9 - 4) * 18
        y = box["height"] / 2 + (step // 9 - 4) * 18
        page.mouse.click(box["x"] + x, box["y"] + y)
        if " Å" in (words.text_content() or ""):
            break
    expect(words).to_contain_text("Å")
    stage.press("r")
    expect(words).to_contain_text("Choose two atoms")


def test_without_webgl_the_picture_and_the_coordinates_stay(
    open_page: OpenPage, portal: Portal
) -> None:
    page = open_page("ada")
    page.add_init_script(NO_WEBGL)
    page.goto(f"/molecules/{portal.things['structure']}/")
    viewer = page.locator(".viewer")
    expect(viewer).to_have_class(re.compile("is-still"))
    expect(viewer).not_to_have_class(re.compile("is-drawn"))
    expect(viewer.locator("[data-still]")).to_be_visible()
    expect(viewer.locator("[data-tools]")).to_be_hidden()
    page.get_by_text("Coordinates").click()
    expect(page.get_by_role("row").filter(has_text="O").first).to_be_visible()


def test_a_structure_is_chosen_and_let_go_in_the_form(open_page: OpenPage) -> None:
    page = open_page("ada", "/molecules/")
    add_silicon(page)
    page.goto("/calculations/new/?software=siesta")
    page.get_by_role("button", name="Choose from the library…").click()
    page.get_by_label("Search structures").fill("Si")
    page.locator("[data-choose]").filter(has_text="Silicon").first.click()
    atoms = page.locator("[name=p_structure]")
    expect(atoms).to_have_value(re.compile("Lattice="))
    expect(page.locator("[data-chosen]")).to_contain_text("Silicon")
    expect(page.locator("#draft-side")).to_contain_text("LatticeVectors")
    atoms.press("End")
    atoms.type(" ")
    expect(page.locator("[data-chosen]")).to_be_hidden()
    expect(page.locator("[name=structure]")).not_to_be_checked()


def test_an_older_search_does_not_replace_a_newer_one(open_page: OpenPage) -> None:
    page = open_page("ada", "/molecules/")
    add_silicon(page)
    page.goto("/calculations/new/?software=siesta")
    held: list[tuple[Route, APIResponse]] = []
    page.route("**/molecules/choose/", lambda route: held.append((route, route.fetch())))
    page.get_by_role("button", name="Choose from the library…").click()
    page.get_by_label("Search structures").fill("Unobtainium")
    expect(page.locator("[data-choose-found]")).to_contain_text("Nothing matches")
    [(route, answer)] = held
    with page.expect_event("requestfinished"):
        route.fulfill(response=answer)
    expect(page.locator("[data-choose-found]")).to_contain_text("Nothing matches")


def test_a_search_that_is_not_answered_says_so(open_page: OpenPage) -> None:
    page = open_page("ada", "/calculations/new/?software=siesta")
    page.route("**/molecules/choose/*", lambda route: route.abort("connectionreset"))
    page.get_by_role("button", name="Choose from the library…").click()
    expect(page.locator("[data-choose-found]")).to_contain_text("does not answer")
    page.unroute_all()
    page.get_by_label("Search structures").fill("Unobtainium")
    expect(page.locator("[data-choose-found]")).to_contain_text("Nothing matches")
