"""One browser and one portal for all tests of this folder, and pages with somebody signed in.

Playwright's loop runs in the main thread while it is open, which asyncio's tests do not bear:
browser and portal end with the last test of this folder. xdist keeps the walk on one worker, with
a portal of its own, and all other tests on another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Page,
    Request,
    expect,
    sync_playwright,
)

from bench.stack import ROOT, Stack
from tests.e2e import chromium
from tests.e2e.pages import WIDTHS
from tests.e2e.portal import Portal
from tests.e2e.seed import PASSWORD

HERE = Path(__file__).parent
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-3d-apis",  # WebGL by software is slow
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
OpenPage = Callable[..., Page]


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)
            group = "walk" if item.path.stem == "test_walk" else "browser"
            item.add_marker(pytest.mark.xdist_group(group))
            item.add_marker(pytest.mark.timeout(180))


@pytest.fixture(scope="package")
def program(tmp_path_factory: pytest.TempPathFactory) -> str:
    return chromium.launcher(tmp_path_factory.mktemp("chromium"))


@pytest.fixture(scope="package")
def browser(program: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        expect.set_options(timeout=10_000)
        yield found
        found.close()


@pytest.fixture(scope="package")
def portal() -> Iterator[Portal]:
    with Stack(clusters=2, durable=False) as stack:
        portal = Portal(stack)
        portal.begin()
        yield portal


@pytest.fixture(scope="package")
def signed_in(browser: Browser, portal: Portal) -> Callable[[str], Any]:
    """Return the cookies of a person, who signs in by the form once."""
    states: dict[str, Any] = {}

    def state_of(name: str) -> Any:
        if name not in states:
            with browser.new_context(base_url=portal.url) as context:
                sign_in(context.new_page(), name)
                states[name] = context.storage_state()
        return states[name]

    return state_of


@pytest.fixture(scope="package")
def new_context(
    browser: Browser, portal: Portal, signed_in: Callable[[str], Any]
) -> Callable[..., BrowserContext]:
    """Open a browser of its own for a person; "" is nobody."""

    def new(name: str, *, phone: bool = False, dark: bool = False, **options: Any) -> Any:
        return browser.new_context(
            base_url=portal.url,
            viewport=WIDTHS["phone" if phone else "desk"],
            color_scheme="dark" if dark else "light",
            storage_state=signed_in(name) if name else None,
            reduced_motion="reduce",
            **options,
        )

    return new


@pytest.fixture
def open_page(new_context: Callable[..., BrowserContext]) -> Iterator[OpenPage]:
    """`open_page("ada", "/path/")`: a page that closes with the test and fails it on any error."""
    contexts: list[BrowserContext] = []
    errors: list[str] = []

    def open_one(name: str, path: str = "/", **options: Any) -> Page:
        context = new_context(name, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(f"{page.url}: {error}"))
        page.on("requestfailed", lambda request: errors.extend(_lost(request)))
        page.goto(path)
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert not errors, "\n".join(errors)


def _lost(request: Request) -> list[str]:
    """Name a script or style that did not arrive; pages that are left drop theirs."""
    lost = request.resource_type in ("script", "stylesheet")
    if not lost or request.failure == "net::ERR_ABORTED":
        return []
    return [f"{request.url}: {request.failure}"]


@pytest.fixture(scope="session")
def pictures(pytestconfig: pytest.Config) -> Path | None:
    """Where pictures of the pages go if pytest-playwright's --screenshot=on asks for them."""
    if pytestconfig.getoption("--screenshot") != "on":
        return None
    folder = Path(ROOT, pytestconfig.getoption("--output")) / "pages"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def sign_in(page: Page, name: str, password: str = PASSWORD) -> None:
    page.goto("/sign-in/")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda address: "/sign-in/" not in address)
