"""The stream of log lines: live, counting while paused, whole again after the portal was gone."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.e2e.conftest import OpenPage
from tests.e2e.portal import Portal

WHILE_AWAY, BEHIND = "written while nobody was connected", "stored before a line with a lower id"
#: Of two ids that were taken, the second is stored; prints the first.
TAKE = f"""
from django.db import connection
from clusters.models import Cluster, LogLine
from labportal.common.clock import now
with connection.cursor() as cursor:
    cursor.execute("SELECT nextval(pg_get_serial_sequence('clusters_logline', 'id'))")
    taken, = cursor.fetchone()
cluster = Cluster.objects.order_by("pk").first()
LogLine.objects.create(cluster=cluster, at=now(), service="agent", text="{BEHIND}")
print(taken)
"""
SAY = f"""
from clusters.models import Cluster, LogLine
from labportal.common.clock import now
LogLine.objects.create(
    pk=%d,
    cluster=Cluster.objects.order_by("pk").first(), at=now(), service="agent", text="{WHILE_AWAY}")
print(1)
"""


def _let_a_program_talk(portal: Portal) -> None:
    made = portal.api.post("/api/v1/calculations/", {"name": "Talks", "software": "pyscf"})
    portal.api.post(f"/api/v1/calculations/{made['id']}/submit/")


def test_a_paused_log_counts_what_it_missed(portal: Portal, open_page: OpenPage) -> None:
    page = open_page("root", "/logs/")
    expect(page.locator(".live-mark")).to_have_text("live")
    lines = page.locator(".log-line")
    before = lines.count()
    button = page.locator("[data-log-follow]")
    button.click()
    expect(button).to_have_text("paused")
    _let_a_program_talk(portal)
    expect(button).to_have_text(re.compile(r"paused, \d+ new"), timeout=60_000)
    assert lines.count() > before
    button.click()
    expect(button).to_have_text("following")


def test_a_line_opens_with_those_around_it(open_page: OpenPage) -> None:
    page = open_page("root", "/logs/?level=ERROR")
    page.locator(".log-line").first.click()
    dialog = page.locator("dialog#line")
    expect(dialog).to_be_visible()
    expect(dialog.locator("[aria-current]")).to_contain_text("error line")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_a_page_reconnects_and_fetches_what_it_missed(portal: Portal, open_page: OpenPage) -> None:
    taken = portal.stack.python(TAKE)
    page = open_page("root", "/logs/")
    mark = page.locator(".live-mark")
    expect(mark).to_have_text("live")
    portal.stack.kill("web")
    expect(mark).to_have_text("reconnecting")
    portal.stack.python(SAY % taken)
    portal.stack.start_web()
    expect(mark).to_have_text("live", timeout=60_000)
    expect(page.locator(".log-line", has_text=WHILE_AWAY)).to_have_count(1)
    ours = page.locator(".log-line", has_text=re.compile(f"{WHILE_AWAY}|{BEHIND}"))
    assert [WHILE_AWAY in words for words in ours.all_inner_texts()] == [True, False]
