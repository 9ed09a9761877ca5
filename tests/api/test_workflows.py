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
    for body in (picture.getvalue(), json.dumps(saving()).encode(), json.dumps(saving()["nodes"]).encode()):
        document = await api.json("POST", "/api/v1/workflows/read", data=body)
        assert document["nodes"] == saving()["nodes"]


async def test_a_picture_without_a_workflow_is_told_apart(api: Api):
    plain = io.BytesIO()
    Image.new("RGB", (4, 4)).save(plain, "PNG")
    for body in (plain.getvalue(), b"\x00\x01", b"hello"):
        reply = await api.json("POST", "/api/v1/workflows/read", 422, data=body)
        assert reply["error"]["message"]
