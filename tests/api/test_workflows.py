"""The examples are listed in order, and workflows are read out of files."""

from __future__ import annotations

import io
import json

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.api.conftest import Api, saving


async def test_the_examples_begin_with_text_to_image(api: Api):
    listed = (await api.json("GET", "/api/v1/workflows"))["workflows"]
    assert listed[0]["name"] == "text-to-image"
    assert all(each["title"] and each["description"] for each in listed)
    document = await api.json("GET", "/api/v1/workflows/text-to-image")
    assert document["format"] == "latentgraph/1"
    assert (await api.json("GET", "/api/v1/workflows/none", 404))["error"]["code"] == "unknown_workflow"
    await api.json("GET", "/api/v1/workflows/..%2Frequirements", 403)


async def test_a_workflow_is_read_out_of_a_picture_and_out_of_json(api: Api):
    about = PngInfo()
    about.add_text("workflow", json.dumps(saving()))
    picture = io.BytesIO()
    Image.new("RGB", (4, 4)).save(picture, "PNG", pnginfo=about)
    prompt = json.dumps(saving()["nodes"]).encode()
    for body in (picture.getvalue(), json.dumps(saving()).encode(), prompt):
        document = await api.json("POST", "/api/v1/workflows/read", data=body)
        assert document["nodes"] == saving()["nodes"]
        assert document["from_comfyui"] is (body == prompt)


async def test_an_api_prompt_is_opened_with_values_as_its_nodes_take_them(api: Api):
    """In ComfyUI's prompts a text may stand for a number, and inputs for nodes as they once were."""
    prompt = {
        "a": {"class_type": "Number", "inputs": {"value": "7", "upload": "image"}},
        "b": {"class_type": "Save", "inputs": {"value": ["a", 0]}},
        "c": {"class_type": "NoSuchNode", "inputs": {"value": "7"}},
    }
    document = await api.json("POST", "/api/v1/workflows/read", data=json.dumps(prompt).encode())
    assert document["nodes"]["a"]["inputs"] == {"value": 7}
    assert document["nodes"]["b"] == prompt["b"]
    assert document["nodes"]["c"] == prompt["c"]


async def test_a_picture_without_a_workflow_is_told_apart(api: Api):
    plain = io.BytesIO()
    Image.new("RGB", (4, 4)).save(plain, "PNG")
    for body in (plain.getvalue(), b"\x00\x01", b"hello"):
        reply = await api.json("POST", "/api/v1/workflows/read", 422, data=body)
        assert reply["error"]["message"]


async def test_a_file_of_comfyuis_editor_is_opened_and_runs(api: Api):
    editor_file = {
        "version": 0.4,
        "nodes": [
            {"id": 1, "type": "Number", "pos": [5, 6], "widgets_values": [3]},
            {
                "id": 2,
                "type": "Save",
                "inputs": [{"name": "value", "type": "INT", "link": 1}],
                "widgets_values": [0, "x"],
            },
        ],
        "links": [[1, 1, 0, 2, 0, "INT"]],
    }
    document = await api.json("POST", "/api/v1/workflows/read", data=json.dumps(editor_file).encode())
    assert document["format"] == "latentgraph/1"
    assert document["from_comfyui"] is True
    assert document["nodes"]["1"]["_meta"]["pos"] == [5, 6]
    job = await api.finished((await api.json("POST", "/api/v1/jobs", 201, json=editor_file))["id"])
    assert job["state"] == "done"
    shown = await api.json("GET", f"/api/v1/jobs/{job['id']}?include=workflow")
    assert shown["workflow"]["nodes"]["2"]["inputs"] == {"prefix": "x", "value": ["1", 0]}
