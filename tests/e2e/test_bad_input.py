"""Whatever is thrown at the server, it answers with a clear error that names the node, and goes on."""

from __future__ import annotations

import json
import pickle
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.api.test_files import bomb
from tests.conftest import ROOT
from tests.e2e.conftest import Server, free_port

CHECKPOINT = ROOT / "models" / "checkpoints" / "storybook-tiny.safetensors"


class Payload:
    """Unpickling this would create a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def header_of(tensors: dict[str, list[int]]) -> bytes:
    """A safetensors file of zeros with these names and shapes, float16."""
    entries: dict[str, Any] = {}
    offset = 0
    for name, shape in tensors.items():
        size = 2
        for side in shape:
            size *= side
        entries[name] = {"dtype": "F16", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(entries).encode()
    return len(text).to_bytes(8, "little") + text + bytes(offset)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose model folder holds every kind of bad file."""
    models = tmp_path_factory.mktemp("models")
    folder = models / "checkpoints"
    folder.mkdir()
    whole = CHECKPOINT.read_bytes()
    (folder / "truncated.safetensors").write_bytes(whole[: len(whole) // 2])
    (folder / "header-only.safetensors").write_bytes(whole[:100])
    (folder / "text.safetensors").write_text("These are not the weights you are looking for.")
    (folder / "empty.safetensors").write_bytes(b"")
    (folder / "strange.safetensors").write_bytes(header_of({"encoder.weight": [4, 4], "decoder.weight": [4, 4]}))
    (folder / "evil.ckpt").write_bytes(pickle.dumps({"state_dict": Payload(models / "owned")}))
    (folder / "noise.ckpt").write_bytes(bytes(range(256)) * 8)
    running = Server(free_port(), tmp_path_factory.mktemp("data"), ("--models-dir", str(models)))
    running.start()
    yield running
    running.stop()
    assert not (models / "owned").exists()


def loading(name: str) -> dict[str, Any]:
    return {
        "1": {"class_type": "CheckpointLoader", "inputs": {"ckpt_name": name}},
        "2": {"class_type": "CLIPTextEncode", "inputs": {"text": "x", "clip": ["1", 1]}},
        "3": {"class_type": "EmptyLatent", "inputs": {"width": 64, "height": 64}},
        "4": {
            "class_type": "KSampler",
            "inputs": {
                "model": ["1", 0],
                "positive": ["2", 0],
                "negative": ["2", 0],
                "latent_image": ["3", 0],
                "seed": 1,
                "steps": 1,
                "cfg": 1.0,
                "sampler_name": "euler",
                "scheduler": "normal",
                "denoise": 1.0,
            },
        },
        "5": {"class_type": "VAEDecode", "inputs": {"samples": ["4", 0], "vae": ["1", 2]}},
        "6": {"class_type": "SaveImage", "inputs": {"images": ["5", 0]}},
    }


@pytest.mark.parametrize(
    "name",
    [
        "truncated.safetensors",
        "header-only.safetensors",
        "text.safetensors",
        "empty.safetensors",
        "strange.safetensors",
        "evil.ckpt",
        "noise.ckpt",
    ],
)
def test_a_bad_checkpoint_fails_its_job_with_a_sentence_that_names_it(server: Server, name: str):
    job = server.wait_for_job(server.post("/api/v1/jobs", loading(name))["id"])
    assert job["state"] == "failed"
    error = job["error"]
    assert error["node"] == "1"
    assert error["code"] != "node_exception"
    assert name in error["message"]
    assert job["attempt"] == 1
    assert server.get("/healthz") == {"status": "ok", "engine": "ready"}


def refused(server: Server, body: bytes | object) -> Any:
    """The reply to a workflow that must be refused."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(server.url + "/api/v1/jobs", data=data)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=60)
    assert caught.value.code == 422
    return json.load(caught.value)


def test_widths_that_can_not_be_are_refused(server: Server):
    document = loading("truncated.safetensors")
    document["3"]["inputs"]["width"] = 0
    (problem,) = refused(server, document)["problems"]
    assert (problem["code"], problem["node"], problem["input"]) == ("below_min", "3", "width")
    document["3"]["inputs"]["width"] = 65
    (problem,) = refused(server, document)["problems"]
    assert (problem["code"], problem["node"], problem["input"]) == ("not_a_multiple", "3", "width")


def test_numbers_that_are_none_and_texts_without_end_are_refused(server: Server):
    body = json.dumps(loading("truncated.safetensors")).replace('"cfg": 1.0', '"cfg": NaN').encode()
    assert "NaN" in refused(server, body)["error"]["message"]
    long = loading("truncated.safetensors")
    long["2"]["inputs"]["text"] = "word " * 1_000_000
    problem = refused(server, long)["problems"][0]
    assert (problem["code"], problem["node"], problem["input"]) == ("too_large", "2", "text")


def test_names_that_lead_outside_are_refused(server: Server):
    outside = {"../../x": {"class_type": "EmptyLatent", "inputs": {}}}
    assert refused(server, outside)["problems"][0]["code"] == "bad_node_id"
    for name in ("../../../etc/passwd", "/etc/passwd", "..\\x.safetensors"):
        assert refused(server, loading(name))["problems"][0]["code"] == "missing_file"
    saving = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "sketch.png"}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "../../escaped"}},
    }
    job = server.wait_for_job(server.post("/api/v1/jobs", saving)["id"])
    assert (job["state"], job["error"]["node"]) == ("failed", "2")
    assert not list(server.data_dir.parent.rglob("escaped*"))


def test_a_workflow_from_the_future_says_so(server: Server):
    message = refused(server, {"format": "latentgraph/99", "nodes": {}})["error"]["message"]
    assert "newer" in message


def test_an_image_that_is_none_or_a_bomb_fails_its_job(server: Server):
    inputs = server.data_dir / "inputs"
    (inputs / "text.png").write_text("not a picture")
    (inputs / "bomb.png").write_bytes(bomb(50_000, 50_000))
    Image.new("RGB", (8, 8)).save(inputs / "fine.png")
    for name, state in (("text.png", "failed"), ("bomb.png", "failed"), ("fine.png", "done")):
        document = {
            "1": {"class_type": "LoadImage", "inputs": {"image": name}},
            "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}},
        }
        job = server.wait_for_job(server.post("/api/v1/jobs", document)["id"])
        assert job["state"] == state, job
        if state == "failed":
            assert job["error"]["node"] == "1"
            assert job["error"]["code"] != "node_exception"
            assert name in job["error"]["message"]
