"""What a newcomer does: open the page, change the prompt, press Run, look, reload, drop the picture back in."""

from __future__ import annotations

import base64
import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.conftest import ROOT
from tests.e2e.conftest import Server
from training.judge import load_judge

pytestmark = pytest.mark.browser

PROMPT = "a blue boat on the sea at sunset"
PROMPT_NODE, SAMPLER_NODE, SAVE_NODE = "2", "5", "7"
PICTURE_MS = 120_000

DROP_FILE = """
([data, name, type]) => {
  const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type }));
  const target = document.querySelector(".react-flow");
  const box = target.getBoundingClientRect();
  const how = { dataTransfer: transfer, bubbles: true, cancelable: true,
                clientX: box.x + box.width / 2, clientY: box.y + box.height / 2 };
  for (const kind of ["dragenter", "dragover", "drop"]) target.dispatchEvent(new DragEvent(kind, how));
}
"""


def prompt_box(page: Page) -> Any:
    return (
        page.get_by_test_id(f"widget-{PROMPT_NODE}-text")
        .locator("textarea")
        .or_(page.locator(f"textarea[data-testid='widget-{PROMPT_NODE}-text']"))
    )


def test_a_newcomer_gets_the_picture_they_asked_for_and_keeps_it(editor: Page, server: Server):
    page = editor
    prompt_box(page).fill(PROMPT)
    page.get_by_test_id("run-button").click()
    shown = page.get_by_test_id(f"result-{SAVE_NODE}").locator("img")
    expect(shown.first).to_be_visible(timeout=PICTURE_MS)

    job = server.get("/api/v1/jobs?limit=1")["jobs"][0]
    job = server.wait_for_job(job["id"])
    assert job["state"] == "done"
    (file,) = job["outputs"][SAVE_NODE]
    path = server.data_dir / "outputs" / file["filename"]
    with Image.open(path) as picture:
        assert np.asarray(picture.convert("RGB"), dtype=np.float32).std() > 20
        verdict = load_judge().describe(picture.convert("RGB"))
    assert verdict.ground == "sea"
    assert verdict.time == "sunset"
    assert "boat" in verdict.kinds

    screenshot(page)
    page.reload()
    page.get_by_test_id("run-button").wait_for()
    expect(prompt_box(page)).to_have_value(PROMPT)
    open_gallery(page)
    expect(page.get_by_test_id("gallery-item").first).to_be_visible()

    prompt_box(page).fill("something else")
    data = base64.b64encode(path.read_bytes()).decode()
    page.evaluate(DROP_FILE, [data, path.name, "image/png"])
    expect(prompt_box(page)).to_have_value(PROMPT)


def open_gallery(page: Page) -> None:
    if not page.get_by_test_id("gallery").is_visible():
        page.get_by_test_id("gallery-toggle").click()
    page.get_by_test_id("gallery").wait_for()


def screenshot(page: Page) -> None:
    """Kept as the README's picture when LATENTGRAPH_SCREENSHOT names a file; always taken, and never blank."""
    page.wait_for_timeout(500)
    picture = Image.open(io.BytesIO(page.screenshot()))
    assert np.asarray(picture.convert("L"), dtype=np.float32).std() > 10
    wanted = os.environ.get("LATENTGRAPH_SCREENSHOT")
    if wanted:
        target = ROOT / wanted
        target.parent.mkdir(parents=True, exist_ok=True)
        picture.save(target, optimize=True)


def test_a_problem_is_shown_on_its_node_and_the_server_goes_on(editor: Page, server: Server):
    page = editor
    width = (
        page.get_by_test_id("widget-4-width").locator("input").or_(page.locator("input[data-testid='widget-4-width']"))
    )
    width.first.fill("100")
    width.first.press("Enter")
    page.get_by_test_id("run-button").click()
    node = page.get_by_test_id("node-4")
    expect(node).to_contain_text("multiple of 8", timeout=20_000)
    assert server.get("/healthz")["status"] == "ok"


def test_the_queue_and_the_pictures_survive_a_kill(own_server: Server, page: Page):
    import json

    document = json.loads((ROOT / "workflows" / "text-to-image.json").read_text(encoding="utf-8"))
    document["nodes"][SAMPLER_NODE]["inputs"]["steps"] = 4
    ids = []
    for seed in range(4):
        document["nodes"][SAMPLER_NODE]["inputs"]["seed"] = seed
        ids.append(own_server.post("/api/v1/jobs", document)["id"])
    own_server.wait_for_job(ids[0])
    own_server.kill()
    own_server.start()
    for job_id in ids:
        job = own_server.wait_for_job(job_id)
        assert job["state"] == "done", job
        (file,) = job["outputs"][SAVE_NODE]
        assert (own_server.data_dir / "outputs" / file["filename"]).stat().st_size > 0
    page.goto(own_server.url)
    page.get_by_test_id("run-button").wait_for()
    open_gallery(page)
    expect(page.get_by_test_id("gallery-item").nth(3)).to_be_visible(timeout=20_000)


def test_outputs_lie_where_the_api_says(own_server: Server):
    assert Path(own_server.get("/api/v1/system")["data_dir"]) == own_server.data_dir
