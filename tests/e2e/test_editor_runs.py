"""Runs as the editor shows them: progress, cancelling, cached nodes, problems, images that are put in."""

from __future__ import annotations

import io
import json

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.conftest import ROOT
from tests.e2e.canvas import drop_file, node, open_document, saved_document, wait_for_nodes
from tests.e2e.conftest import Server

pytestmark = pytest.mark.browser

LONG = 60_000


@pytest.fixture
def canvas(editor: Page) -> Page:
    """The editor with the text-to-image workflow on its canvas."""
    wait_for_nodes(editor, 7)
    return editor


def test_a_run_shows_progress_and_preview_and_can_be_cancelled(canvas: Page, server: Server):
    canvas.get_by_test_id("widget-5-steps").fill("2000")
    canvas.get_by_test_id("run-button").click()
    expect(node(canvas, "5")).to_have_attribute("data-phase", "running", timeout=LONG)
    expect(node(canvas, "5").locator(".result-picture")).to_be_visible(timeout=LONG)
    expect(canvas.get_by_test_id("status")).to_contain_text("Running")
    canvas.get_by_test_id("cancel-button").click()
    expect(canvas.get_by_test_id("status")).to_contain_text("Cancelled", timeout=LONG)
    expect(node(canvas, "5")).not_to_have_attribute("data-phase", "running")
    assert server.get("/api/v1/jobs?limit=1")["jobs"][0]["state"] == "cancelled"


def test_a_second_run_marks_what_came_from_the_cache(canvas: Page):
    canvas.get_by_test_id("widget-5-seed-control").click()
    canvas.get_by_test_id("widget-5-seed-control-fixed").click()
    canvas.get_by_test_id("widget-5-steps").fill("3")
    canvas.get_by_test_id("run-button").click()
    expect(canvas.get_by_test_id("result-7").locator("img").first).to_be_visible(timeout=LONG)
    expect(canvas.get_by_test_id("status")).to_contain_text("Done", timeout=LONG)
    canvas.get_by_test_id("widget-7-filename_prefix").fill("again")
    canvas.get_by_test_id("run-button").click()
    expect(node(canvas, "5")).to_have_attribute("data-phase", "cached", timeout=LONG)
    expect(node(canvas, "7")).to_have_attribute("data-phase", "done", timeout=LONG)


def test_all_problems_are_listed_lead_to_their_nodes_and_go_away_when_mended(canvas: Page):
    document = json.loads((ROOT / "workflows" / "text-to-image.json").read_text(encoding="utf-8"))
    document["nodes"]["5"]["inputs"]["sampler_name"] = "no_such_sampler"
    document["nodes"]["4"]["inputs"]["width"] = 0
    open_document(canvas, document)
    canvas.get_by_test_id("run-button").click()
    problems = canvas.get_by_test_id("problem-list")
    expect(problems.locator("li")).to_have_count(2)
    expect(node(canvas, "5")).to_contain_text("no_such_sampler")
    problems.locator("li").first.get_by_text("Go to node").click()
    expect(canvas.locator(".react-flow__node.selected")).to_have_count(1)
    canvas.get_by_test_id("widget-4-width").fill("128")
    expect(problems.locator("li")).to_have_count(1)


def test_a_node_that_the_server_does_not_know_keeps_its_place_and_its_links(canvas: Page):
    document = {
        "1": {"class_type": "NobodyKnowsThis", "inputs": {"amount": 3, "image": ["2", 0]}},
        "2": {"class_type": "LoadImage", "inputs": {"image": "x.png"}},
    }
    open_document(canvas, document)
    expect(node(canvas, "1")).to_contain_text("NobodyKnowsThis")
    assert saved_document(canvas)["nodes"]["1"]["inputs"] == {"amount": 3, "image": ["2", 0]}


def test_several_runs_at_once_are_queued(canvas: Page, server: Server):
    before = len(server.get("/api/v1/jobs?limit=500")["jobs"])
    canvas.get_by_test_id("widget-5-steps").fill("2")
    canvas.get_by_test_id("widget-5-seed-control").click()
    canvas.get_by_test_id("widget-5-seed-control-randomize").click()
    canvas.get_by_test_id("batch-count").fill("3")
    canvas.get_by_test_id("run-button").click()
    canvas.get_by_test_id("rail-queue").click()
    expect(canvas.locator("[data-testid^='job-'][data-state='done']").nth(2)).to_be_visible(timeout=LONG)
    canvas.wait_for_timeout(300)
    assert len(server.get("/api/v1/jobs?limit=500")["jobs"]) == before + 3


def test_a_picture_without_a_workflow_becomes_an_image_to_load(canvas: Page):
    plain = io.BytesIO()
    Image.new("RGB", (64, 48), (200, 60, 40)).save(plain, "PNG")
    drop_file(canvas, plain.getvalue(), "plain.png", "image/png")
    wait_for_nodes(canvas, 8)
    image = canvas.get_by_test_id("widget-8-image")
    expect(image).to_have_attribute("data-value", "plain.png")
    other = io.BytesIO()
    Image.new("RGB", (48, 64), (20, 160, 40)).save(other, "PNG")
    drop_file(canvas, other.getvalue(), "other.png", "image/png", "[data-testid='widget-8-image']")
    expect(image).to_have_attribute("data-value", "other.png")
    wait_for_nodes(canvas, 8)


def test_a_picture_from_the_gallery_brings_its_workflow_back(canvas: Page, server: Server):
    canvas.get_by_test_id("widget-2-text").fill("a green tree on a meadow at night")
    canvas.get_by_test_id("widget-5-steps").fill("2")
    canvas.get_by_test_id("run-button").click()
    expect(canvas.get_by_test_id("result-7").locator("img").first).to_be_visible(timeout=LONG)
    expect(canvas.get_by_test_id("status")).to_contain_text("Done", timeout=LONG)
    canvas.get_by_test_id("widget-2-text").fill("another")
    canvas.get_by_test_id("gallery-toggle").click()
    (made,) = server.get("/api/v1/jobs?limit=1")["jobs"][0]["outputs"]["7"]
    canvas.get_by_test_id("gallery").get_by_alt_text(made["filename"], exact=True).click()
    canvas.get_by_test_id("load-workflow").click()
    expect(canvas.get_by_test_id("widget-2-text")).to_have_value("a green tree on a meadow at night")


def test_a_lost_server_is_noticed_and_found_again(own_server: Server, page: Page):
    page.goto(own_server.url)
    status = page.get_by_test_id("status")
    expect(status).to_contain_text("Ready", timeout=LONG)
    own_server.kill()
    expect(status).to_contain_text("Connection lost", timeout=LONG)
    expect(page.get_by_test_id("run-button")).to_be_disabled()
    own_server.start()
    expect(status).to_contain_text("Ready", timeout=LONG)
    expect(page.get_by_test_id("run-button")).to_be_enabled()
