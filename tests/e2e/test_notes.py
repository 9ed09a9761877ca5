"""Notes on the canvas, and the room that is made for the cards of ComfyUI's files."""

from __future__ import annotations

import json
import re
from itertools import combinations
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Position, expect

from tests.e2e.canvas import EMPTY, drag, drop_file, open_document, saved_document, wait_for_nodes

pytestmark = pytest.mark.browser

# A note that is added on the free canvas is cut off by the edge of the window: its upper left is in view.
CORNER: Position = {"x": 24, "y": 12}
TEXT = "# Boats\n\nTry *red* ones, see [the guide](https://example.org/boats)"


@pytest.fixture
def canvas(editor: Page) -> Page:
    """The editor with the text-to-image workflow on its canvas."""
    wait_for_nodes(editor, 7)
    return editor


def note(page: Page, index: int = 0) -> Locator:
    return page.get_by_test_id(f"note-{index}")


def add_note(page: Page, text: str) -> None:
    page.mouse.click(*EMPTY, button="right")
    page.get_by_role("menuitem", name="Add note").click()
    expect(note(page).get_by_label("Text")).to_be_focused()
    page.keyboard.insert_text(text)
    page.keyboard.press("Escape")


def test_a_note_is_added_and_drawn_as_markdown(canvas: Page):
    add_note(canvas, TEXT)
    expect(note(canvas).get_by_role("heading", name="Boats")).to_be_visible()
    expect(note(canvas).locator("em")).to_have_text("red")
    link = note(canvas).get_by_role("link", name="the guide")
    expect(link).to_have_attribute("target", "_blank")
    expect(link).to_have_attribute("rel", "noopener noreferrer")
    assert saved_document(canvas)["groups"][0]["text"] == TEXT


def test_tables_task_lists_and_bare_addresses_are_drawn(canvas: Page):
    add_note(canvas, "| Steps | Time |\n|---|--:|\n| 20 | 1.2 s |\n\n- [x] red boats\n\nSee https://example.org/table")
    expect(note(canvas).get_by_role("columnheader")).to_have_text(["Steps", "Time"])
    expect(note(canvas).get_by_role("cell", name="1.2 s")).to_be_visible()
    expect(note(canvas).get_by_role("checkbox")).to_be_checked()
    link = note(canvas).get_by_role("link", name="https://example.org/table")
    expect(link).to_have_attribute("rel", "noopener noreferrer")


def test_html_and_pictures_in_a_note_do_nothing(canvas: Page):
    asked: list[str] = []
    canvas.on("request", lambda request: asked.append(request.url))
    add_note(canvas, "<img src=//example.org/a.png> ![far](https://example.org/b.png) [bad](javascript:alert(1))")
    expect(note(canvas).get_by_role("link", name="far")).to_be_visible()
    expect(note(canvas)).to_contain_text("<img src=//example.org/a.png>")
    expect(note(canvas).locator("img")).to_have_count(0)
    expect(note(canvas).get_by_role("link", name="bad")).to_have_count(0)
    assert not [url for url in asked if "example.org" in url]


def test_an_edited_note_is_there_after_a_reload_and_is_one_step_of_undo(canvas: Page):
    add_note(canvas, "first")
    note(canvas).dblclick(position=CORNER)
    note(canvas).get_by_label("Title").fill("Read me")
    note(canvas).get_by_label("Text").fill("second")
    canvas.mouse.click(EMPTY[0] - 40, EMPTY[1])
    expect(note(canvas).get_by_role("heading", name="Read me")).to_be_visible()
    canvas.keyboard.press("Control+z")
    expect(note(canvas)).to_have_text("first")
    canvas.keyboard.press("Control+Shift+z")
    canvas.wait_for_timeout(500)
    canvas.reload()
    expect(note(canvas)).to_contain_text("second")
    saved = saved_document(canvas)["groups"][0]
    assert (saved["title"], saved["text"]) == ("Read me", "second")


def test_what_is_being_written_survives_a_reload(canvas: Page):
    add_note(canvas, "kept")
    note(canvas).dblclick(position=CORNER)
    note(canvas).get_by_label("Text").press_sequentially(" too")
    canvas.wait_for_timeout(500)
    canvas.reload()
    expect(note(canvas)).to_have_text("kept too")


def test_a_note_is_moved_coloured_and_deleted(canvas: Page):
    add_note(canvas, "here")
    x, y, width, height = saved_document(canvas)["groups"][0]["bounds"]
    start = note(canvas).bounding_box()
    assert start is not None
    left, top = start["x"] + CORNER["x"], start["y"] + CORNER["y"]
    drag(canvas, (left, top), (left - 80, top - 40))
    moved = saved_document(canvas)["groups"][0]["bounds"]
    assert (moved[0] < x - 40, moved[1] < y - 20, moved[2:]) == (True, True, [width, height])
    note(canvas).click(button="right", position=CORNER)
    canvas.get_by_role("menuitemradio", name="Blue").click()
    assert saved_document(canvas)["groups"][0]["color"] == "#3b82f6"
    note(canvas).click(position=CORNER)
    canvas.keyboard.press("Delete")
    expect(note(canvas)).to_have_count(0)
    canvas.keyboard.press("Control+z")
    expect(note(canvas)).to_have_text("here")


def test_deleting_one_note_leaves_the_next(canvas: Page):
    groups = [{"title": "", "bounds": [220 * at, 0, 200, 90], "text": text} for at, text in enumerate(("one", "two"))]
    open_document(canvas, {"format": "latentgraph/1", "nodes": {}, "groups": groups})
    note(canvas).click()
    canvas.keyboard.press("Delete")
    expect(note(canvas)).to_have_text("two")
    canvas.keyboard.press("Delete")
    assert len(saved_document(canvas)["groups"]) == 1


def framed_document() -> dict[str, Any]:
    """A card in a frame, and a note above it."""
    card = {"class_type": "CLIPTextEncode", "inputs": {"text": "a boat"}, "_meta": {"pos": [24, 60]}}
    frame = {"title": "Prompts", "bounds": [0, 0, 320, 300], "color": "#3f789e"}
    words = {"title": "Read me", "bounds": [0, -140, 200, 90], "text": "**Mind** this"}
    return {"format": "latentgraph/1", "nodes": {"1": card}, "groups": [frame, words]}


def test_notes_and_frames_are_copied_with_the_nodes_and_pasted_at_the_pointer(canvas: Page):
    open_document(canvas, framed_document())
    wait_for_nodes(canvas, 1)
    canvas.mouse.click(*EMPTY)
    canvas.keyboard.press("Control+a")
    canvas.keyboard.press("Control+c")
    canvas.mouse.move(900, 300)
    canvas.keyboard.press("Control+v")
    wait_for_nodes(canvas, 2)
    copy = canvas.get_by_test_id("note-3")
    expect(copy).to_contain_text("Mind this")
    box = copy.bounding_box()
    assert box is not None
    assert abs(box["x"] - 900) < 2
    assert abs(box["y"] - 300) < 2
    saved = saved_document(canvas)
    before, after = saved["groups"][:2], saved["groups"][2:]
    (x, y), (left, top) = saved["nodes"]["1"]["_meta"]["pos"], saved["nodes"]["2"]["_meta"]["pos"]
    for old, new in zip(before, after, strict=True):
        assert {**new, "bounds": None} == {**old, "bounds": None}
        assert [new["bounds"][0] - old["bounds"][0], new["bounds"][1] - old["bounds"][1]] == [left - x, top - y]
    canvas.keyboard.press("Control+z")
    wait_for_nodes(canvas, 1)
    assert saved_document(canvas)["groups"] == before


def test_a_note_is_duplicated_from_its_menu(canvas: Page):
    open_document(canvas, framed_document())
    note(canvas, 1).click(button="right", position=CORNER)
    canvas.get_by_role("menuitem", name="Duplicate").click()
    groups = saved_document(canvas)["groups"]
    assert [each["title"] for each in groups] == ["Prompts", "Read me", "Read me"]
    assert groups[2]["bounds"] == [32, -108, 200, 90]
    wait_for_nodes(canvas, 1)


def comfyui_file() -> dict[str, Any]:
    """A file whose nodes lie closer together than our cards can."""
    prompts = [
        {
            "id": number,
            "type": "CLIPTextEncode",
            "pos": [400, 180 + 140 * number],
            "size": [400, 120],
            "inputs": [{"name": "clip", "type": "CLIP", "link": number}],
            "outputs": [{"name": "CONDITIONING", "type": "CONDITIONING"}],
            "widgets_values": ["a lighthouse above the sea, " * 12],
        }
        for number in (2, 3)
    ]
    loader = {"id": 1, "type": "CheckpointLoaderSimple", "pos": [200, 480], "size": [180, 98]}
    words = {"id": 9, "type": "MarkdownNote", "pos": [420, 700], "size": [300, 90], "widgets_values": ["**Mind** this"]}
    return {
        "version": 0.4,
        "nodes": [loader, *prompts, words],
        "links": [[2, 1, 1, 2, 0, "CLIP"], [3, 1, 1, 3, 0, "CLIP"]],
        "groups": [{"title": "Prompts", "bounding": [390, 400, 420, 340], "color": "#3f789e"}],
    }


def test_an_opened_comfyui_file_keeps_its_notes_and_has_no_overlaps(canvas: Page):
    drop_file(canvas, json.dumps(comfyui_file()).encode(), "dropped.json", "application/json")
    wait_for_nodes(canvas, 3)
    expect(note(canvas, 1)).to_have_text("Mind this")
    cards = [*canvas.get_by_test_id(re.compile(r"^node-")).all(), note(canvas, 1)]
    boxes = [box for card in cards if (box := card.bounding_box()) is not None]
    assert len(boxes) == 4
    for a, b in combinations(boxes, 2):
        beside = a["x"] + a["width"] <= b["x"] or b["x"] + b["width"] <= a["x"]
        assert beside or a["y"] + a["height"] <= b["y"] or b["y"] + b["height"] <= a["y"]


def test_a_native_file_keeps_its_places(canvas: Page):
    nodes = {
        str(number): {"class_type": "CLIPTextEncode", "inputs": {"text": ""}, "_meta": {"pos": [10 * number, 20]}}
        for number in (1, 2)
    }
    file = {"format": "latentgraph/1", "nodes": nodes}
    drop_file(canvas, json.dumps(file).encode(), "dropped.json", "application/json")
    wait_for_nodes(canvas, 2)
    saved = saved_document(canvas)["nodes"]
    assert [saved[each]["_meta"]["pos"] for each in ("1", "2")] == [[10, 20], [20, 20]]
