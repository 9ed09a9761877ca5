"""A LoRA of the difference of two models, added to the first, gives the second."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from diffusion.held import held_by
from diffusion.saving.lora import factors
from diffusion.values import ClipRef, ModelRef
from nodes.loaders import CheckpointLoader
from nodes.loras import LoraLoader
from nodes.merging import CLIPMergeSubtract, ModelMergeSubtract
from nodes.saving import LoraSave
from nodes.sdk import Cancelled, NodeError
from tests.diffusion import tiny
from tests.nodes.fake_context import FakeContext


class Pair(NamedTuple):
    job: FakeContext
    models: tuple[ModelRef, ModelRef]
    clips: tuple[ClipRef, ClipRef]


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    job = FakeContext(tmp_path)
    for seed, name in enumerate(("base", "tuned")):
        tiny.write(job.library.models_dir / "checkpoints" / f"{name}.safetensors", seed=seed)
    (base, base_clip, _), (tuned, tuned_clip, _) = (
        CheckpointLoader(job, f"{name}.safetensors") for name in ("base", "tuned")
    )
    return Pair(job, (base, tuned), (base_clip, tuned_clip))


def saved(pair: Pair, rank: int, kind: Literal["standard", "full_diff"], *, biases: bool = True) -> Path:
    (model, tuned), (clip, tuned_clip) = pair.models, pair.clips
    model, clip = ModelMergeSubtract(pair.job, tuned, model), CLIPMergeSubtract(pair.job, tuned_clip, clip)
    LoraSave(pair.job, "loras/made", rank, kind, biases, model, clip)
    target = pair.job.library.models_dir / "loras" / "made.safetensors"
    target.parent.mkdir(exist_ok=True)
    return pair.job.paths()[-1].rename(target)


def parameters(job: FakeContext, ref: ModelRef | ClipRef) -> dict[str, Tensor]:
    module = (job.residency.unet(ref) if isinstance(ref, ModelRef) else job.residency.clip(ref)).module
    held = held_by(module)
    return {name: held.weight(name).float() for name, _ in module.named_parameters()}


def distance(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    return sum(float((one[name] - other[name]).square().sum()) for name in other) ** 0.5


def test_a_whole_difference_makes_one_model_of_the_other(pair: Pair):
    saved(pair, 1, "full_diff")
    added = LoraLoader(pair.job, pair.models[0], pair.clips[0], "made.safetensors", 1.0, 1.0)
    for made, first, wanted in zip(
        added, (pair.models[0], pair.clips[0]), (pair.models[1], pair.clips[1]), strict=True
    ):
        found, before, after = (parameters(pair.job, each) for each in (made, first, wanted))
        assert distance(found, after) < 0.01 * distance(before, after)


def test_a_higher_rank_comes_nearer(pair: Pair):
    before, after = (parameters(pair.job, each) for each in pair.models)
    left: list[float] = []
    for rank in (1, 8, 4096):
        saved(pair, rank, "standard")
        model, _ = LoraLoader(pair.job, pair.models[0], pair.clips[0], "made.safetensors", 1.0, 1.0)
        left.append(distance(parameters(pair.job, model), after) / distance(before, after))
    assert 1.0 > left[0] > left[1] > left[2]


def test_names_and_shapes_are_those_of_comfyui(pair: Pair):
    written = load_file(saved(pair, 4, "standard"))
    convolution = "diffusion_model.input_blocks.1.0.in_layers.2"
    outer, inner, *kernel = tiny.tensors()[f"model.{convolution}.weight"].shape
    assert written[f"{convolution}.lora_up.weight"].shape == (outer, 4, 1, 1)
    assert written[f"{convolution}.lora_down.weight"].shape == (4, inner, *kernel)
    assert written[f"{convolution}.diff_b"].shape == (outer,)
    assert f"{convolution.removesuffix('2')}0.diff" in written
    layer = "text_encoders.clip_l.transformer.text_model.encoder.layers.0.mlp.fc1"
    assert {f"{layer}.lora_up.weight", f"{layer}.lora_down.weight", f"{layer}.diff_b"} < set(written)
    assert {tensor.dtype for tensor in written.values()} == {torch.float16}
    bare = load_file(saved(pair, 4, "standard", biases=False))
    assert set(bare) == {name for name in written if ".lora_" in name}


def test_the_factors_are_the_nearest_but_for_what_stands_out():
    weight = torch.randn(24, 40, generator=torch.Generator().manual_seed(0))
    up, down = factors(weight, 6)
    left, lengths, right = torch.linalg.svd(weight)
    first, second = left[:, :6] @ torch.diag(lengths[:6]), right[:6]
    limit = torch.quantile(torch.cat([first.flatten(), second.flatten()]), 0.99)
    assert torch.allclose((up @ down), first.clamp(-limit, limit) @ second.clamp(-limit, limit), atol=1e-4)
    assert float(up.abs().max()) == pytest.approx(float(limit), rel=1e-5)
    assert not factors(torch.zeros(4, 6), 2)[0].any()


def test_nothing_to_save_and_a_cancel_are_told(pair: Pair):
    with pytest.raises(NodeError, match="nothing to save"):
        LoraSave(pair.job)
    pair.job.cancel_at = 3
    with pytest.raises(Cancelled):
        LoraSave(pair.job, model_diff=pair.models[0])
