from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from diffusion.values import ClipRef, ModelRef
from nodes.attention import CLIPAttentionMultiply, UNetCrossAttentionMultiply, UNetSelfAttentionMultiply
from nodes.loaders import CheckpointLoader
from nodes.loras import LoraLoaderModelOnly
from nodes.sdk import NodeError
from tests.diffusion import tiny
from tests.diffusion.patches import lora_files
from tests.nodes.fake_context import FakeContext


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> FakeContext:
    folder: Path = tmp_path_factory.mktemp("data")
    tiny.write(folder / "models" / "checkpoints" / "tiny.safetensors")
    lora_files.write(folder / "models", "style.safetensors", lora_files.tensors("kohya"))
    return FakeContext(folder)


def loaded(job: FakeContext) -> tuple[ModelRef, ClipRef]:
    model, clip, _ = CheckpointLoader(job, "tiny.safetensors")
    return model, clip


def weights(job: FakeContext, ref: ModelRef | ClipRef) -> dict[str, Tensor]:
    held = job.residency.unet(ref) if isinstance(ref, ModelRef) else job.residency.clip(ref)
    return {name: value.float().clone() for name, value in held.module.named_parameters()}


def factors(job: FakeContext, plain: ModelRef | ClipRef, changed: ModelRef | ClipRef) -> dict[str, float]:
    """By what each layer was multiplied, by the end of its name; those that stayed are left out."""
    ours, theirs, found = weights(job, changed), weights(job, plain), dict[str, float]()
    for name, value in ours.items():
        if not torch.equal(value, theirs[name]):
            ratio = round(float((value * theirs[name]).sum() / theirs[name].square().sum()), 3)
            assert torch.allclose(value, theirs[name] * ratio, rtol=2e-3, atol=1e-6)
            layer = ".".join(name.split(".")[-4:]).partition("attn")[2].partition(".")[2]
            assert found.setdefault(layer.replace("weight", "").replace("bias", ""), ratio) == ratio
    return found


@pytest.mark.parametrize(("node", "attention"), [(UNetSelfAttentionMultiply, 1), (UNetCrossAttentionMultiply, 2)])
def test_each_projection_of_one_attention_is_multiplied_by_its_factor(
    job: FakeContext, node: Callable[..., ModelRef], attention: int
):
    model, _ = loaded(job)
    changed = node(model, 0.5, 2.0, 3.0, 4.0)
    assert factors(job, model, changed) == {"to_q.": 0.5, "to_k.": 2.0, "to_v.": 3.0, "to_out.0.": 4.0}
    ours, theirs = weights(job, changed), weights(job, model)
    assert all(f"attn{attention}." in name for name, value in ours.items() if not torch.equal(value, theirs[name]))
    assert any("to_out.0.bias" in name for name, value in ours.items() if not torch.equal(value, theirs[name]))


def test_the_text_encoder_s_attention_is_multiplied_with_its_biases(job: FakeContext):
    _, clip = loaded(job)
    found = factors(job, clip, CLIPAttentionMultiply(clip, 0.5, 2.0, 4.0, 0.25))
    assert found == {"q_proj.": 0.5, "k_proj.": 2.0, "v_proj.": 4.0, "out_proj.": 0.25}


def test_factors_of_one_change_nothing(job: FakeContext):
    model, clip = loaded(job)
    assert UNetSelfAttentionMultiply(model) is model
    assert CLIPAttentionMultiply(clip) is clip


def test_a_lora_before_is_multiplied_and_one_after_is_not(job: FakeContext):
    model, _ = loaded(job)
    with_lora = LoraLoaderModelOnly(job, model, "style.safetensors", 1.0)
    name = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_out.0.weight"
    plain, lora = weights(job, model)[name], weights(job, with_lora)[name]
    assert not torch.equal(plain, lora)
    before = weights(job, UNetSelfAttentionMultiply(with_lora, out=2.0))[name]
    after = weights(job, LoraLoaderModelOnly(job, UNetSelfAttentionMultiply(model, out=2.0), "style.safetensors", 1.0))[
        name
    ]
    assert torch.allclose(before, 2 * lora)
    assert torch.allclose(after, 2 * plain + (lora - plain), atol=1e-6)


def test_a_factor_that_is_no_number_is_refused_at_its_input(job: FakeContext):
    with pytest.raises(NodeError) as caught:
        UNetCrossAttentionMultiply(loaded(job)[0], v=math.nan)
    assert caught.value.input == "v"
