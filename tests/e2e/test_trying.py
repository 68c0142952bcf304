"""A model is tried from its page, and a structure sent to it, in a browser: the calls are real."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import OpenPage
from tests.e2e.portal import Portal

SEED = """import json
from clusters.models import Cluster
from labportal.accounts.models import User
from labportal.common.wake import wake
from tests.mlmodels import factories
numbers = {"type": "array", "items": {"type": "number"}, "minItems": 3}
schema = {"type": "object", "required": ["angles"], "properties": {"angles": numbers}}
atoms = {"type": "object", "required": ["symbols"], "properties": {
    "symbols": {"type": "array", "items": {"type": "string"}}}}
site = Cluster.objects.get(name="tesla-1")
ada = User.objects.get(username="ada")
for name, asks in (("mirror", schema), ("atoms", atoms)):
    model = factories.registered(ada, name)
    version = factories.version(model, input_schema=asks, example="")
    factories.replica(version, site, address="127.0.0.1:%d")
    type(model).objects.filter(pk=model.pk).update(
        current=version, serving=version, desired="running", state="ready")
wake("models")
print(json.dumps(None))"""


class Mirror(http.server.BaseHTTPRequestHandler):
    """Answers what it got, with how much that was."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        values = asked.get("angles") or asked.get("symbols")
        body = json.dumps({"count": len(values), "values": values}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing on the screen."""


@pytest.fixture(scope="module")
def mirror(portal: Portal) -> Iterator[None]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    portal.stack.python(SEED % server.server_port)
    yield
    server.shutdown()
    server.server_close()


def test_the_form_is_called_and_its_answer_drawn(mirror: None, open_page: OpenPage) -> None:
    page = open_page("ada", "/models/mirror/")
    angles = page.get_by_label("Angles", exact=True)
    angles.fill("1, 2")
    page.get_by_role("button", name="Call it").click()
    expect(page.locator(".field-error").first).to_have_text("2 given, 3 or more are needed.")
    angles.fill("1 2 3 4 5 6")
    page.get_by_role("button", name="Call it").click()
    answer = page.locator("[data-try-answer]")
    expect(answer.locator("dd").first).to_have_text("6")
    expect(answer.locator(".js-plotly-plot")).to_be_visible()
    expect(page.locator('[data-snippet="curl"]')).to_contain_text('{"angles":[1,2,3,4,5,6]}')
    expect(page.get_by_role("link", name="Download")).to_be_visible()


def test_a_structure_is_sent_by_one_click(
    mirror: None, portal: Portal, open_page: OpenPage
) -> None:
    page = open_page("ada", f"/molecules/{portal.things['structure']}/")
    panel = page.locator("#models-about")
    panel.get_by_role("button", name="Send to atoms").click()
    expect(panel.locator("li").first).to_contain_text("Count 3", timeout=40_000)
