from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from diffusion.patches.lora import WrongLora
from diffusion.values import LoraPatch
from nodes.conditioning import CLIPTextEncode
from nodes.latent import EmptyLatent
from nodes.loaders import CheckpointLoader
from nodes.loras import LoraLoader, LoraLoaderModelOnly
from nodes.sampling import KSampler
from nodes.sdk import NodeError
from tests.diffusion import tiny
from tests.diffusion.patches import lora_files
from tests.nodes.fake_context import FakeContext


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> FakeContext:
    folder = tmp_path_factory.mktemp("data")
    tiny.write(folder / "models" / "checkpoints" / "tiny.safetensors")
    lora_files.write(folder / "models", "style.safetensors", lora_files.tensors("kohya"))
    other = lora_files.tensors("kohya", text=False, scale=2)
    lora_files.write(folder / "models", "other.safetensors", other)
    return FakeContext(folder)


def picture(job: FakeContext, strength: float) -> torch.Tensor:
    model, clip, _ = CheckpointLoader(job, "tiny.safetensors")
    model, clip = LoraLoader(job, model, clip, "style.safetensors", strength, strength)
    prompts = CLIPTextEncode(job, "a fox", clip), CLIPTextEncode(job, "", clip)
    return KSampler(job, model, *prompts, EmptyLatent(32, 32), seed=1, steps=2, scheduler="karras").samples


def test_a_lora_changes_the_picture_and_strength_zero_does_not(job: FakeContext):
    model, clip, _ = CheckpointLoader(job, "tiny.safetensors")
    assert LoraLoader(job, model, clip, "style.safetensors", 0.0, 0.0) == (model, clip)
    plain, changed = picture(job, 0.0), picture(job, 1.0)
    assert not torch.allclose(plain, changed, atol=1e-3)
    assert torch.equal(plain, picture(job, 0.0))
    assert (job.residency.loads.unet, job.residency.loads.clip, job.residency.loads.lora) == (1, 1, 1)


def test_the_patch_is_on_the_reference_in_order(job: FakeContext):
    model, clip, _ = CheckpointLoader(job, "tiny.safetensors")
    model, clip = LoraLoader(job, model, clip, "style.safetensors", 0.8, 0.6)
    model = LoraLoaderModelOnly(job, model, "style.safetensors", -1.0)
    file = job.model_file("loras", "style.safetensors")
    assert model.patches == (LoraPatch(file, 0.8), LoraPatch(file, -1.0))
    assert clip.patches == (LoraPatch(file, 0.6),)


def test_a_lora_of_another_family_is_blamed_on_the_node(job: FakeContext, tmp_path: Path):
    model, clip, _ = CheckpointLoader(job, "tiny.safetensors")
    with pytest.raises(WrongLora) as caught:
        LoraLoader(job, model, clip, "other.safetensors")
    assert caught.value.input == "lora_name"


@pytest.mark.parametrize("blamed", ["strength_model", "strength_clip"])
def test_a_strength_that_is_no_number_is_refused(job: FakeContext, blamed: str):
    model, clip, _ = CheckpointLoader(job, "tiny.safetensors")
    with pytest.raises(NodeError) as caught:
        LoraLoader(job, model, clip, "style.safetensors", **{blamed: math.nan})
    assert caught.value.input == blamed


def test_a_part_with_strength_zero_is_not_checked(job: FakeContext):
    model, clip, _ = CheckpointLoader(job, "tiny.safetensors")
    assert LoraLoader(job, model, clip, "missing.safetensors", 0.0, 0.0) == (model, clip)
    assert LoraLoaderModelOnly(job, model, "missing.safetensors", 0.0) == model
    text = {key: value for key, value in lora_files.tensors("kohya").items() if key.startswith("lora_te")}
    lora_files.write(
        job.library.models_dir, "half.safetensors", text | lora_files.tensors("kohya", text=False, scale=2)
    )
    assert len(LoraLoader(job, model, clip, "half.safetensors", 0.0, 1.0).CLIP.patches) == 1
    with pytest.raises(WrongLora):
        LoraLoader(job, model, clip, "half.safetensors", 1.0, 1.0)
