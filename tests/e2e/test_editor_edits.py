"""Editing: undo, copy and paste, modes, widgets, autosave, opening and saving."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import ROOT
from tests.e2e.canvas import (
    EMPTY,
    centre,
    drag,
    drop_file,
    node,
    open_document,
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


def widget(page: Page, name: str):
    return page.get_by_test_id(f"widget-{name}")


def test_typing_is_one_step_of_undo_and_redo_brings_it_back(canvas: Page):
    before = widget(canvas, "2-text").input_value()
    widget(canvas, "2-text").press("Control+End")
    widget(canvas, "2-text").press_sequentially(" with a moon")
    canvas.mouse.click(*EMPTY)
    canvas.keyboard.press("Control+z")
    expect(widget(canvas, "2-text")).to_have_value(before)
    canvas.keyboard.press("Control+Shift+z")
    expect(widget(canvas, "2-text")).to_have_value(f"{before} with a moon")


def test_a_drag_is_one_step_of_undo(canvas: Page):
    before = saved_document(canvas)["nodes"]["4"]["_meta"]["pos"]
    x, y = centre(node(canvas, "4").locator(".card-title"))
    drag(canvas, (x, y), (x + 40, y + 90))
    assert saved_document(canvas)["nodes"]["4"]["_meta"]["pos"] != before
    canvas.get_by_test_id("undo-button").click()
    assert saved_document(canvas)["nodes"]["4"]["_meta"]["pos"] == before


def test_copies_are_pasted_with_the_links_among_them(canvas: Page):
    canvas.context.grant_permissions(["clipboard-read", "clipboard-write"])
    canvas.mouse.click(*EMPTY)
    canvas.keyboard.press("Control+a")
    canvas.keyboard.press("Control+c")
    canvas.keyboard.press("Control+v")
    wait_for_nodes(canvas, 14)
    nodes = saved_document(canvas)["nodes"]
    assert nodes["12"]["inputs"]["model"] == ["8", 0]
    assert nodes["14"]["inputs"]["images"] == ["13", 0]


def test_a_node_is_duplicated_and_deleted_with_its_links(canvas: Page):
    select(canvas, "3")
    canvas.keyboard.press("Control+d")
    wait_for_nodes(canvas, 8)
    assert saved_document(canvas)["nodes"]["8"]["inputs"]["clip"] == ["1", 1]
    select(canvas, "1")
    canvas.keyboard.press("Delete")
    wait_for_nodes(canvas, 7)
    assert "clip" not in saved_document(canvas)["nodes"]["8"]["inputs"]


def test_mute_and_bypass_are_shown_and_saved(canvas: Page):
    select(canvas, "7")
    canvas.keyboard.press("m")
    expect(node(canvas, "7")).to_have_attribute("data-mode", "mute")
    canvas.keyboard.press("b")
    expect(node(canvas, "7")).to_have_attribute("data-mode", "bypass")
    assert saved_document(canvas)["nodes"]["7"]["_meta"]["mode"] == "bypass"
    canvas.keyboard.press("b")
    expect(node(canvas, "7")).to_have_attribute("data-mode", "normal")


def test_a_node_is_renamed_and_collapsed(canvas: Page):
    select(canvas, "5")
    canvas.keyboard.press("F2")
    canvas.keyboard.type("First pass")
    canvas.keyboard.press("Enter")
    expect(node(canvas, "5")).to_contain_text("First pass")
    canvas.keyboard.press("c")
    expect(widget(canvas, "5-steps")).to_be_hidden()
    meta = saved_document(canvas)["nodes"]["5"]["_meta"]
    assert (meta["title"], meta["collapsed"]) == ("First pass", True)


def test_a_box_drawn_with_shift_selects_what_it_touches(canvas: Page):
    canvas.keyboard.down("Shift")
    drag(canvas, (80, 60), (380, 690))
    canvas.keyboard.up("Shift")
    expect(canvas.locator(".react-flow__node.selected")).to_have_count(2)


def test_numbers_are_stepped_dragged_and_kept_in_range(canvas: Page):
    steps = widget(canvas, "5-steps")
    node(canvas, "5").get_by_label("Increase steps").click()
    expect(steps).to_have_value("21")
    x, y = centre(steps)
    drag(canvas, (x, y), (x + 42, y))
    expect(steps).to_have_value("26")
    steps.fill("-5")
    steps.press("Enter")
    expect(steps).to_have_value("1")
    steps.press("ArrowUp")
    expect(steps).to_have_value("2")


def test_a_choice_is_found_by_typing(canvas: Page):
    widget(canvas, "5-sampler_name").click()
    canvas.keyboard.type("euler_a")
    canvas.keyboard.press("Enter")
    expect(widget(canvas, "5-sampler_name")).to_have_attribute("data-value", "euler_ancestral")


def test_a_seed_of_64_bits_keeps_every_digit(canvas: Page):
    widget(canvas, "5-seed").fill("18446744073709551615")
    canvas.wait_for_timeout(500)
    canvas.reload()
    expect(widget(canvas, "5-seed")).to_have_value("18446744073709551615")
    assert saved_document(canvas)["nodes"]["5"]["inputs"]["seed"] == 18446744073709551615


def test_the_seed_counts_up_after_each_run_when_told_to(canvas: Page):
    widget(canvas, "5-seed-control").click()
    canvas.get_by_test_id("widget-5-seed-control-increment").click()
    widget(canvas, "5-steps").fill("2")
    canvas.get_by_test_id("run-button").click()
    expect(widget(canvas, "5-seed")).to_have_value("8")


def test_work_is_there_again_after_a_reload(canvas: Page):
    widget(canvas, "2-text").fill("a quiet harbour")
    select(canvas, "4")
    canvas.keyboard.press("m")
    canvas.wait_for_timeout(500)
    canvas.reload()
    expect(widget(canvas, "2-text")).to_have_value("a quiet harbour")
    expect(node(canvas, "4")).to_have_attribute("data-mode", "mute")


def test_a_saved_file_is_the_document_that_was_opened(canvas: Page):
    opened = json.loads((ROOT / "workflows" / "hires-fix.json").read_text(encoding="utf-8"))
    open_document(canvas, opened)
    saved = saved_document(canvas)
    assert saved["nodes"].keys() == opened["nodes"].keys()
    for node_id, before in opened["nodes"].items():
        assert saved["nodes"][node_id]["class_type"] == before["class_type"]
        assert saved["nodes"][node_id]["inputs"] == before["inputs"]


def test_a_bare_api_prompt_is_laid_out(canvas: Page):
    prompt = {
        "3": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "storybook-tiny.safetensors"}},
        "9": {"class_type": "VAEDecode", "inputs": {"samples": ["5", 0], "vae": ["3", 2]}},
        "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 128, "height": 128, "batch_size": 1}},
    }
    open_document(canvas, prompt)
    wait_for_nodes(canvas, 3)
    nodes = saved_document(canvas)["nodes"]
    assert nodes["9"]["_meta"]["pos"][0] > nodes["3"]["_meta"]["pos"][0]


def test_a_file_that_is_no_workflow_is_refused_in_words(canvas: Page):
    drop_file(canvas, b"just some text", "notes.json", "application/json")
    expect(canvas.get_by_test_id("toast")).to_contain_text("notes.json")
    wait_for_nodes(canvas, 7)


def test_a_template_replaces_the_workflow_and_undo_brings_it_back(canvas: Page):
    widget(canvas, "2-text").fill("mine")
    canvas.get_by_test_id("rail-templates").click()
    canvas.get_by_test_id("template-hires-fix").click()
    expect(canvas.get_by_label("Workflow name")).not_to_have_value("Text to image")
    canvas.get_by_test_id("undo-button").click()
    expect(widget(canvas, "2-text")).to_have_value("mine")


def test_the_theme_is_chosen_and_kept(canvas: Page):
    for theme in ("light", "dark"):
        canvas.get_by_test_id("theme-toggle").click()
        canvas.get_by_test_id(f"theme-{theme}").click()
        expect(canvas.locator("html")).to_have_attribute("data-theme", theme)
    canvas.reload()
    expect(canvas.locator("html")).to_have_attribute("data-theme", "dark")


def test_a_node_is_coloured_from_its_menu(canvas: Page):
    node(canvas, "4").locator(".card-title").click(button="right")
    canvas.get_by_role("menuitemradio", name="Blue").click()
    assert saved_document(canvas)["nodes"]["4"]["_meta"]["color"] == "#3b82f6"
    node(canvas, "4").locator(".card-title").click(button="right")
    expect(canvas.get_by_role("menuitemradio", name="Blue")).to_be_checked()
    canvas.get_by_role("menuitemradio", name="No colour").click()
    assert saved_document(canvas)["nodes"]["4"]["_meta"].get("color") is None
