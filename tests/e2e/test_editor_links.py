"""Links and the palette: adding nodes by search, wiring them, and being told why a link does not fit."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.canvas import (
    EMPTY,
    centre,
    drag,
    input_port,
    node,
    open_document,
    output_port,
    saved_document,
    select,
    wait_for_nodes,
)

pytestmark = pytest.mark.browser


@pytest.fixture
def canvas(editor: Page) -> Page:
    """The editor with the text-to-image workflow on its canvas."""
    wait_for_nodes(editor, 7)
    return editor


def test_double_click_opens_the_palette_and_enter_adds_the_best_match(canvas: Page):
    canvas.mouse.dblclick(*EMPTY)
    canvas.get_by_test_id("palette-search").fill("scale image by")
    canvas.keyboard.press("Enter")
    expect(canvas.get_by_test_id("palette")).to_be_hidden()
    wait_for_nodes(canvas, 8)
    assert saved_document(canvas)["nodes"]["8"]["class_type"] == "ImageScaleBy"


def test_escape_closes_the_palette_and_adds_nothing(canvas: Page):
    canvas.mouse.dblclick(*EMPTY)
    canvas.get_by_test_id("palette-search").press("Escape")
    expect(canvas.get_by_test_id("palette")).to_be_hidden()
    wait_for_nodes(canvas, 7)


def test_a_link_dropped_on_empty_canvas_offers_only_what_fits_and_plugs_it_in(canvas: Page):
    drag(canvas, centre(output_port(canvas, "4", 0)), EMPTY)
    palette = canvas.get_by_test_id("palette")
    expect(palette).to_be_visible()
    expect(canvas.get_by_test_id("palette-item-VAEDecode")).to_be_visible()
    expect(canvas.get_by_test_id("palette-item-CheckpointLoader")).to_have_count(0)
    canvas.get_by_test_id("palette-item-VAEDecode").click()
    wait_for_nodes(canvas, 8)
    assert saved_document(canvas)["nodes"]["8"]["inputs"]["samples"] == ["4", 0]


def test_an_input_dropped_on_empty_canvas_offers_what_feeds_it(canvas: Page):
    drag(canvas, centre(input_port(canvas, "6", "vae")), EMPTY)
    canvas.get_by_test_id("palette-item-CheckpointLoader").click()
    wait_for_nodes(canvas, 8)
    assert saved_document(canvas)["nodes"]["6"]["inputs"]["vae"] == ["8", 2]


def test_a_link_between_different_types_is_refused_with_the_reason(canvas: Page):
    before = saved_document(canvas)["nodes"]["5"]["inputs"]["model"]
    drag(canvas, centre(output_port(canvas, "6", 0)), centre(input_port(canvas, "5", "model")), release=False)
    expect(canvas.locator(".reason")).to_contain_text("takes MODEL")
    canvas.mouse.up()
    toast = canvas.get_by_test_id("toast")
    expect(toast).to_contain_text("takes MODEL")
    expect(toast).to_contain_text("gives IMAGE")
    assert saved_document(canvas)["nodes"]["5"]["inputs"]["model"] == before


def test_a_link_that_closes_a_loop_is_refused(canvas: Page):
    drag(canvas, centre(output_port(canvas, "5", 0)), centre(input_port(canvas, "5", "latent_image")))
    expect(canvas.get_by_test_id("toast")).to_contain_text("cannot feed itself")


def test_a_new_link_replaces_the_one_its_input_had(canvas: Page):
    drag(canvas, centre(output_port(canvas, "3", 0)), centre(input_port(canvas, "5", "positive")))
    inputs = saved_document(canvas)["nodes"]["5"]["inputs"]
    assert inputs["positive"] == ["3", 0]
    assert inputs["negative"] == ["3", 0]


def test_a_link_dropped_on_a_card_finds_the_port_that_fits(canvas: Page):
    drag(canvas, centre(output_port(canvas, "1", 2)), centre(node(canvas, "6").locator(".card-title")))
    assert saved_document(canvas)["nodes"]["6"]["inputs"]["vae"] == ["1", 2]
    drag(canvas, centre(output_port(canvas, "3", 0)), centre(node(canvas, "6").locator(".card-title")))
    expect(canvas.get_by_test_id("toast")).to_be_visible()


def test_a_link_pulled_off_its_port_is_gone(canvas: Page):
    x, y = centre(input_port(canvas, "6", "samples"))
    drag(canvas, (x - 14, y), EMPTY)
    assert "samples" not in saved_document(canvas)["nodes"]["6"]["inputs"]


def test_a_selected_link_is_deleted_and_undo_brings_it_back(canvas: Page):
    start, end = centre(output_port(canvas, "5", 0)), centre(input_port(canvas, "6", "samples"))
    canvas.mouse.click((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
    canvas.keyboard.press("Delete")
    assert "samples" not in saved_document(canvas)["nodes"]["6"]["inputs"]
    canvas.keyboard.press("Control+z")
    assert saved_document(canvas)["nodes"]["6"]["inputs"]["samples"] == ["5", 0]


def test_a_linked_widget_shows_that_it_is_linked_and_unlinked_shows_its_value_again(canvas: Page):
    prompt = {
        "1": {"class_type": "SomePrimitive", "inputs": {}},
        "2": {"class_type": "EmptyLatent", "inputs": {"width": ["1", 0], "height": 64, "batch_size": 1}},
    }
    open_document(canvas, prompt)
    expect(node(canvas, "2").get_by_text("Linked")).to_have_count(1)
    expect(canvas.get_by_test_id("widget-2-width")).to_have_count(0)
    select(canvas, "1")
    canvas.keyboard.press("Delete")
    expect(canvas.get_by_test_id("widget-2-width")).to_be_visible()


def test_a_node_is_put_into_the_middle_of_a_link(canvas: Page):
    start, end = centre(output_port(canvas, "5", 0)), centre(input_port(canvas, "6", "samples"))
    canvas.mouse.click((start[0] + end[0]) / 2, (start[1] + end[1]) / 2, button="right")
    canvas.get_by_text("Insert a node…").click()
    expect(canvas.get_by_test_id("palette-item-KSampler")).to_be_visible()
    expect(canvas.get_by_test_id("palette-item-VAEDecode")).to_have_count(0)
    canvas.get_by_test_id("palette-item-LatentUpscaleBy").click()
    nodes = saved_document(canvas)["nodes"]
    assert nodes["8"]["inputs"]["samples"] == ["5", 0]
    assert nodes["6"]["inputs"]["samples"] == ["8", 0]


def test_a_node_is_added_from_the_side_panel(canvas: Page):
    canvas.get_by_test_id("rail-nodes").click()
    canvas.get_by_test_id("library-search").fill("preview")
    canvas.get_by_test_id("library-PreviewImage").click()
    wait_for_nodes(canvas, 8)
