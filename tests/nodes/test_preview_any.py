from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from diffusion.values import FileRef, Latent, LoraPatch, ModelRef
from nodes.preview_any import PreviewAny
from tests.nodes.fake_context import FakeContext


def shown(folder: Path, value: object) -> str:
    job = FakeContext(folder)
    PreviewAny(job, value)
    (file,) = job.published
    assert (file.type, file.media) == ("temp", "text/plain")
    return job.paths()[0].read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("value", "text"), [("a fox\n", "a fox\n"), (3, "3"), (0.5, "0.5"), (True, "true"), (None, "null")]
)
def test_plain_values_are_shown_as_they_are(tmp_path: Path, value: object, text: str):
    assert shown(tmp_path, value) == text


def test_a_tree_is_shown_as_json(tmp_path: Path):
    assert json.loads(shown(tmp_path, {"a": [1, "ü"]})) == {"a": [1, "ü"]}


def test_a_tensor_is_told_by_its_shape_and_range(tmp_path: Path):
    picture = torch.linspace(0, 1, 48).reshape(1, 4, 4, 3)
    assert shown(tmp_path, picture) == "float32 1×4×4×3, from 0 to 1, mean 0.5"
    assert shown(tmp_path, torch.tensor([1.0, 0.0])) == "float32 2: [1.0, 0.0]"


def test_a_value_is_told_field_by_field(tmp_path: Path):
    file, lora = (FileRef(kind, f"{kind}.safetensors", "/x", "id") for kind in ("checkpoints", "loras"))
    text = shown(tmp_path, ModelRef(file, patches=(LoraPatch(lora, 0.5),)))
    assert "file: checkpoints/checkpoints.safetensors" in text
    assert "strength: 0.5" in text
    assert "noise_mask: None" in shown(tmp_path, Latent(torch.zeros(1, 4, 8, 8)))
