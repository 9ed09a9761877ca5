"""What the editor does when something is wrong: the engine, the server, its own saved work."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from tests.e2e.canvas import node, wait_for_nodes
from tests.e2e.conftest import Server

pytestmark = pytest.mark.browser

LONG = 60_000
REASON = "The worker process ended at its start. There is no device 'cuda:7'."
KEY = "latentgraph.session"


class BrokenEngine:
    """A server whose engine can't start, until it is mended: what the real one says of its engine is changed on the
    way to the page."""

    def __init__(self, page: Page) -> None:
        self.broken = True
        self.asked = 0
        self.sockets: list[WebSocketRoute] = []
        page.route("**/api/v1/nodes", self._nodes)
        page.route_web_socket("**/api/v1/events", self._events)

    def mend(self) -> None:
        self.broken = False
        self.sockets[-1].send(json.dumps({"type": "engine", "state": "ready", "device": "cpu", "precision": "fp32"}))

    def _nodes(self, route: Any) -> None:
        self.asked += 1
        if self.broken:
            route.fulfill(status=503, json={"error": {"code": "engine_failed", "message": REASON}})
        else:
            route.continue_()

    def _events(self, socket: WebSocketRoute) -> None:
        self.sockets.append(socket)
        server = socket.connect_to_server()

        def pass_on(message: str | bytes) -> None:
            event = json.loads(message) if isinstance(message, str) else {}
            if event.get("type") == "hello":
                message = json.dumps({**event, "engine": "failed", "message": REASON})
            socket.send(message)

        server.on_message(pass_on)


def start_a_long_run(server: Server, page: Page) -> None:
    page.goto(server.url)
    wait_for_nodes(page, 7)
    page.get_by_test_id("widget-5-steps").fill("40")
    page.get_by_test_id("widget-5-steps").press("Enter")
    page.get_by_test_id("run-button").click()
    expect(node(page, "5").locator(".badge-running")).to_contain_text("/40", timeout=LONG)


def test_an_engine_that_can_not_start_says_why_and_is_not_asked_again_and_again(page: Page, server: Server):
    engine = BrokenEngine(page)
    page.goto(server.url)
    expect(page.get_by_test_id("engine-notice")).to_contain_text(REASON)
    expect(page.get_by_test_id("status")).to_contain_text("Engine failed")
    expect(page.get_by_test_id("run-button")).to_be_disabled()
    wait_for_nodes(page, 7)
    asked = engine.asked
    page.wait_for_timeout(3000)
    assert engine.asked == asked <= 2
    engine.mend()
    expect(page.get_by_test_id("widget-5-steps")).to_be_visible()
    expect(page.get_by_test_id("engine-notice")).to_have_count(0)
    expect(page.get_by_test_id("run-button")).to_be_enabled()


def test_a_saved_workflow_that_can_not_be_read_is_kept_and_can_be_saved_to_a_file(editor: Page):
    wait_for_nodes(editor, 7)
    damaged = '{"name": "Mine", "document": {"format": "latentgr'
    # What is saved when the page is left comes first, so that it does not take the place of the damaged text.
    editor.goto("about:blank")
    editor.add_init_script(
        f"""if (!localStorage.getItem('prepared') && location.protocol === 'http:') {{
          localStorage.setItem('prepared', 'yes');
          for (const storage of [localStorage, sessionStorage]) storage.setItem('{KEY}', {json.dumps(damaged)});
        }}"""
    )
    editor.go_back()
    notice = editor.get_by_test_id("toast").filter(has_text="could not be opened")
    expect(notice).to_contain_text("It is damaged")
    wait_for_nodes(editor, 7)
    editor.get_by_label("Workflow name").fill("Another")
    editor.wait_for_timeout(600)
    kept = editor.evaluate(
        "() => Object.entries(localStorage).filter(([key]) => key.startsWith('latentgraph.unreadable'))"
    )
    assert [text for _, text in kept] == [damaged]
    with editor.expect_download() as download:
        notice.get_by_role("button", name="Save it to a file").click()
    assert download.value.path().read_text(encoding="utf-8") == damaged
    editor.reload()
    expect(editor.get_by_label("Workflow name")).to_have_value("Another")
    expect(editor.get_by_test_id("toast")).to_have_count(0)


def test_a_job_that_a_crash_of_the_server_ended_is_followed_when_it_is_run_again(own_server: Server, page: Page):
    start_a_long_run(own_server, page)
    own_server.kill()
    expect(page.get_by_test_id("status")).to_contain_text("Connection lost", timeout=LONG)
    expect(page.get_by_test_id("cancel-button")).to_be_disabled()
    own_server.start()
    expect(page.get_by_test_id("result-7").locator("img").first).to_be_visible(timeout=LONG)
    expect(page.get_by_test_id("status")).to_contain_text("Done", timeout=LONG)


def test_a_job_that_ended_while_the_page_was_cut_off_is_shown_as_ended(own_server: Server, page: Page):
    start_a_long_run(own_server, page)
    job = own_server.get("/api/v1/jobs?limit=1")["jobs"][0]["id"]
    own_server.kill()
    expect(page.get_by_test_id("status")).to_contain_text("Connection lost", timeout=LONG)
    page.context.set_offline(True)
    own_server.start()
    assert own_server.wait_for_job(job)["state"] == "done"
    # Started once more, the server does not remember the events of the job, only how it ended.
    own_server.kill()
    own_server.start()
    page.context.set_offline(False)
    expect(page.get_by_test_id("result-7").locator("img").first).to_be_visible(timeout=LONG)
    expect(page.get_by_test_id("status")).to_contain_text("Ready", timeout=LONG)


def test_broken_thumbnails_come_back_with_the_connection(own_server: Server, page: Page):
    page.goto(own_server.url)
    wait_for_nodes(page, 7)
    page.get_by_test_id("widget-5-steps").fill("2")
    page.get_by_test_id("run-button").click()
    expect(page.get_by_test_id("status")).to_contain_text("Done", timeout=LONG)
    page.route("**/api/v1/thumbnails/**", lambda route: route.abort())
    page.get_by_test_id("rail-queue").click()
    entry = page.locator("[data-testid^='job-']")
    expect(entry.locator(".job-blank")).to_be_visible()
    page.unroute("**/api/v1/thumbnails/**")
    own_server.kill()
    expect(page.get_by_test_id("status")).to_contain_text("Connection lost", timeout=LONG)
    own_server.start()
    expect(entry.locator("img.job-picture")).to_be_visible(timeout=LONG)


def test_what_fails_in_the_background_is_told(editor: Page):
    wait_for_nodes(editor, 7)
    editor.route(
        "**/api/v1/nodes",
        lambda route: route.fulfill(status=500, json={"error": {"code": "internal_error", "message": "See the log."}}),
    )
    editor.get_by_test_id("widget-1-ckpt_name").click()
    expect(editor.get_by_test_id("toast")).to_contain_text("See the log.")
    editor.evaluate("() => { Promise.reject(new Error('nobody waits')) }")
    expect(editor.get_by_test_id("toast").filter(has_text="nobody waits")).to_be_visible()
