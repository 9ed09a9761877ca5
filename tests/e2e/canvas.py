"""What the browser tests do with the canvas: find ports, drag, drop files, and read the document behind the page."""

from __future__ import annotations

import base64
import json
from typing import Any

from playwright.sync_api import Locator, Page, expect

Json = dict[str, Any]

_DROP = """
([data, name, type, selector]) => {
  const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type }));
  const target = document.querySelector(selector);
  const box = target.getBoundingClientRect();
  const how = { dataTransfer: transfer, bubbles: true, cancelable: true,
                clientX: box.x + box.width / 2, clientY: box.y + box.height / 2 };
  for (const kind of ["dragenter", "dragover", "drop"]) target.dispatchEvent(new DragEvent(kind, how));
}
"""

# Free canvas at 1366×768 with the text-to-image workflow open: below the prompts, left of the sampler.
EMPTY = (600, 690)


def node(page: Page, node_id: str) -> Locator:
    return page.get_by_test_id(f"node-{node_id}")


def output_port(page: Page, node_id: str, index: int) -> Locator:
    return node(page, node_id).locator(f"[data-handleid='out:{index}']")


def input_port(page: Page, node_id: str, name: str) -> Locator:
    return node(page, node_id).locator(f"[data-handleid='in:{name}']")


def centre(place: Locator) -> tuple[float, float]:
    box = place.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def drag(page: Page, start: tuple[float, float], end: tuple[float, float], *, release: bool = True) -> None:
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move((start[0] + end[0]) / 2, (start[1] + end[1]) / 2, steps=4)
    page.mouse.move(*end, steps=4)
    if release:
        page.mouse.up()


def select(page: Page, node_id: str) -> None:
    """Click a node's title, which leaves its widgets alone."""
    node(page, node_id).locator(".card-title").click()
    expect(page.locator(f".react-flow__node[data-id='{node_id}'].selected")).to_be_visible()


def drop_file(page: Page, content: bytes, name: str, media: str, selector: str = ".react-flow") -> None:
    page.evaluate(_DROP, [base64.b64encode(content).decode(), name, media, selector])


def saved_document(page: Page) -> Json:
    """The document as the page would save it, from its download."""
    with page.expect_download() as download:
        page.get_by_test_id("save-button").click()
    return json.loads(download.value.path().read_text(encoding="utf-8"))


def open_document(page: Page, document: Json) -> None:
    drop_file(page, json.dumps(document).encode(), "dropped.json", "application/json")
    expect(page.get_by_label("Workflow name")).to_have_value("dropped")


def wait_for_nodes(page: Page, count: int) -> None:
    expect(page.locator("[data-testid^='node-']")).to_have_count(count)
