"""A reduced safety checker, against diffusers' own on the same weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from safetensors.torch import save_file
from torch import Tensor
from transformers import CLIPConfig

from diffusion.errors import UnsupportedArchitecture
from diffusion.safety import blurred
from nodes.safety import SafetyCheck
from nodes.sdk import Cancelled
from tests.nodes.fake_context import FakeContext

SIDE, WIDTH = 28, 64
PICTURES = torch.rand(6, SIDE, SIDE, 3, generator=torch.Generator().manual_seed(4))


def theirs() -> StableDiffusionSafetyChecker:
    torch.manual_seed(2)
    vision = {
        "hidden_size": WIDTH, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 1,
        "image_size": SIDE, "patch_size": 14,
    }  # fmt: skip
    made = StableDiffusionSafetyChecker(CLIPConfig(vision_config=vision, projection_dim=32)).eval()
    with torch.no_grad():
        for name, value in made.named_parameters():
            value.copy_(torch.randn(value.shape) * (0.3 if value.ndim > 1 else 0.1))
            if name.endswith("_weights"):
                value.fill_(0.303)
    return made


def checker_tensors() -> dict[str, Tensor]:
    """The tensors of the checker, by the names in the public file."""
    tensors: dict[str, Tensor] = {}
    for name, value in theirs().state_dict().items():
        if name.startswith("vision_model.") and not name.startswith("vision_model.vision_model."):
            name = f"vision_model.{name}"
        tensors[name] = value.contiguous().clone()
    return tensors


def seen(images: Tensor) -> Tensor:
    mean, spread = torch.tensor([0.48145466, 0.4578275, 0.40821073]), torch.tensor([0.26862954, 0.26130258, 0.27577711])
    return ((images - mean) / spread).movedim(-1, 1)


@pytest.fixture
def job(tmp_path: Path) -> FakeContext:
    job = FakeContext(tmp_path)
    folder = job.library.models_dir / "safety_checker"
    folder.mkdir(parents=True)
    save_file(checker_tensors(), folder / "checker.safetensors")
    save_file({"weight": torch.zeros(1)}, folder / "other.safetensors")
    return job


def test_the_same_pictures_are_flagged_as_by_the_original(job: FakeContext):
    _, expected = theirs()(seen(PICTURES), PICTURES.clone())
    checker = job.residency.safety(job.model_file("safety_checker", "checker.safetensors"))
    assert checker.side == SIDE
    assert checker.flags(PICTURES) == expected
    assert len(set(expected)) == 2


@pytest.mark.parametrize("action", ["blur", "black"])
def test_flagged_pictures_are_hidden_and_others_left_alone(job: FakeContext, action: str):
    shown, flagged = SafetyCheck(job, PICTURES, "checker.safetensors", action)  # type: ignore[arg-type]
    _, expected = theirs()(seen(PICTURES), PICTURES.clone())
    assert flagged == sum(expected)
    for before, after, hidden in zip(PICTURES, shown, expected, strict=True):
        if not hidden:
            assert torch.equal(after, before)
        elif action == "black":
            assert not after.any()
        else:
            assert torch.equal(after, blurred(before))
            assert float(after.std()) < float(before.std()) / 2
    assert job.steps[-1] == (6, 6)


def test_pictures_of_other_sizes_are_scaled_and_cut(job: FakeContext):
    checker = job.residency.safety(job.model_file("safety_checker", "checker.safetensors"))
    assert len(checker.flags(torch.rand(1, 100, 64, 4))) == 1
    assert len(checker.flags(torch.rand(2, 10, 20, 3))) == 2


def test_a_file_that_is_no_checker_is_refused_and_a_cancel_stops(job: FakeContext):
    with pytest.raises(UnsupportedArchitecture, match="no safety checker"):
        SafetyCheck(job, PICTURES, "other.safetensors")
    job.cancel_at = 2
    with pytest.raises(Cancelled):
        SafetyCheck(job, PICTURES, "checker.safetensors")
