from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nodes.output import PreviewImage, SaveImage
from nodes.output.filenames import expand
from nodes.output.parameters import parameters_text
from nodes.output.trace import upstream
from tests.nodes.fake_context import FakeContext

NOW = datetime(2026, 3, 7, 4, 5, 9)

PROMPT: dict[str, Any] = {
    "1": {"class_type": "CheckpointLoader", "inputs": {"ckpt_name": "sd/real.v1.safetensors"}},
    "2": {
        "class_type": "CLIPTextEncode",
        "inputs": {"text": "a red fox, détail", "clip": ["1", 1]},
        "_meta": {"title": "My prompt"},
    },
    "3": {"class_type": "CLIPTextEncode", "inputs": {"text": "blurry", "clip": ["1", 1]}},
    "4": {"class_type": "EmptyLatent", "inputs": {"width": 64, "height": 32, "batch_size": 1}},
    "5": {
        "class_type": "KSampler",
        "inputs": {
            "model": ["1", 0],
            "positive": ["2", 0],
            "negative": ["3", 0],
            "latent_image": ["4", 0],
            "seed": 123,
            "steps": 20,
            "cfg": 7.0,
            "sampler_name": "dpmpp_2m",
            "scheduler": "karras",
            "denoise": 0.5,
        },
    },
    "6": {"class_type": "VAEDecode", "inputs": {"samples": ["5", 0], "vae": ["1", 2]}},
    "9": {"class_type": "SaveImage", "inputs": {"images": ["6", 0], "filename_prefix": "x"}},
}


@pytest.fixture
def job(tmp_path: Path) -> FakeContext:
    return FakeContext(tmp_path, PROMPT)


def name(prefix: str, **given: Any) -> str:
    return expand(prefix, PROMPT, NOW, **({"width": 64, "height": 32, "node_id": "9"} | given))


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("plain", "plain"),
        ("a/%date%/b", "a/2026-03-07/b"),
        ("%date:yyyyMMdd-hhmmss%", "20260307-040509"),
        ("%date:yy.M.d%", "26.3.7"),
        ("%year%-%month%-%day% %hour%%minute%%second%", "2026-03-07 040509"),
        ("%width%x%height%", "64x32"),
        ("s%seed%", "s123"),
        ("%My prompt.text%", "a red fox, détail"),
        ("%KSampler.steps%_%5.cfg%", "20_7"),
        ("%batch_num%", "0"),
        ("%nothing% 100%", "%nothing% 100%"),
        ("%KSampler.model%", "%KSampler.model%"),
    ],
)
def test_tokens_are_filled_in(prefix: str, expected: str):
    assert name(prefix) == expected


@given(st.text(max_size=60))
def test_what_a_token_gives_never_adds_a_folder(text: str):
    prompt = {"1": {"class_type": "T", "inputs": {"text": text}}}
    filled = expand("a/%T.text%", prompt, NOW, width=1, height=1, node_id="9")
    assert filled.count("/") == 1
    assert ".." not in filled.split("/")
    assert "\\" not in filled


def test_a_slash_in_a_date_format_adds_a_folder_inside():
    assert name("%date:yyyy/MM%") == "2026/03"
    assert ".." not in name("%date:../../yyyy%").split("/")
    assert not name("%date:/yyyy%").startswith("/")


def test_a_token_finds_a_node_by_its_type_before_its_title():
    prompt = {
        "1": {"class_type": "Other", "inputs": {"on": False}, "_meta": {"title": "Switch"}},
        "2": {"class_type": "Switch", "inputs": {"on": True}},
    }
    assert expand("%Switch.on%", prompt, NOW, width=1, height=1, node_id="9") == "true"


def test_pictures_are_saved_numbered_with_the_workflow_inside(job: FakeContext):
    SaveImage(job, torch.rand(2, 32, 64, 3), "sub/pic %seed%")
    SaveImage(job, torch.rand(1, 32, 64, 3), "sub/pic %seed%")
    assert [file.relative for file in job.published] == [f"sub/pic 123_0000{n}_.png" for n in (1, 2, 3)]
    assert {(file.type, file.width, file.height) for file in job.published} == {("output", 64, 32)}
    with Image.open(job.paths()[0]) as picture:
        assert (picture.format, picture.mode, picture.size) == ("PNG", "RGB", (64, 32))
        assert json.loads(picture.info["prompt"]) == PROMPT
        assert json.loads(picture.info["workflow"])["format"] == "latentgraph/1"
        assert picture.info["parameters"].startswith("a red fox, détail\nNegative prompt: blurry\nSteps: 20, ")


def test_saved_pixels_are_the_pictures(job: FakeContext):
    image = torch.tensor([0.0, 0.5, 1.0]).expand(1, 8, 8, 3)
    SaveImage(job, image)
    with Image.open(job.paths()[0]) as picture:
        assert picture.getpixel((3, 3)) == (0, 127, 255)


def test_previews_go_to_the_temporary_folder(job: FakeContext):
    PreviewImage(job, torch.rand(1, 8, 8, 3))
    assert [file.type for file in job.published] == ["temp"]


def test_the_summary_is_what_other_programs_read():
    assert parameters_text(PROMPT, "9", 64, 32) == (
        "a red fox, détail\n"
        "Negative prompt: blurry\n"
        "Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 123, Size: 64x32, Model: real.v1, "
        "Denoising strength: 0.5, Version: Latentgraph"
    )


def test_a_picture_without_a_sampler_has_no_summary():
    assert parameters_text({"9": PROMPT["9"]}, "9", 8, 8) is None


def test_linked_values_are_followed():
    prompt = {**PROMPT, "7": {"class_type": "Seed", "inputs": {"value": 77}}}
    prompt["5"] = {"class_type": "KSampler", "inputs": {**PROMPT["5"]["inputs"], "seed": ["7", 0]}}
    assert "Seed: 77" in str(parameters_text(prompt, "9", 8, 8))
    assert expand("%seed%", prompt, NOW, width=1, height=1, node_id="9") == "77"


def test_a_walk_upstream_ends_in_a_circle_and_in_a_long_chain():
    circle = {"a": {"inputs": {"x": ["b", 0]}}, "b": {"inputs": {"x": ["a", 0]}}}
    assert [node for node, _ in upstream(circle, "a")] == ["a", "b"]
    chain = {str(n): {"inputs": {"x": [str(n + 1), 0]}} for n in range(20_000)}
    assert len(list(upstream(chain, "0"))) == 20_000
