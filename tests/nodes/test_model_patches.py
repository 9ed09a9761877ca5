"""Each model patch on a reduced checkpoint: it changes the picture, and its neutral setting does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
import torch

from diffusion.errors import DiffusionError
from diffusion.values import (
    CfgRule,
    Conditioning,
    GuiderRef,
    Latent,
    LatentOperation,
    ModelRef,
    NoiseRef,
    SamplerRef,
    SharpenRule,
    TonemapRule,
)
from executor.codec import Codec
from executor.settings import VALUE_MODULES
from nodes import model_patches as patches
from nodes.custom_sampling import SamplerCustomAdvanced
from nodes.latent import EmptyLatent
from nodes.sampling import KSampler
from nodes.sigmas import KarrasScheduler
from tests.nodes.fake_context import FakeContext
from tests.nodes.reduced import apart, loaded, loud

Patch = Callable[[ModelRef], ModelRef]


class Parts(NamedTuple):
    context: FakeContext
    model: ModelRef
    positive: Conditioning
    negative: Conditioning


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    context, model, clip = loaded(tmp_path_factory.mktemp("data"))
    return Parts(context, model, *loud(context, clip, "a fox", ""))


def sample(parts: Parts, patch: Patch | None = None, **changes) -> torch.Tensor:
    settings = {"seed": 5, "steps": 2, "cfg": 3.0, "scheduler": "karras"} | changes
    latent = settings.pop("latent", EmptyLatent(128, 64, 2))
    model = parts.model if patch is None else patch(parts.model)
    return KSampler(parts.context, model, parts.positive, parts.negative, latent, **settings).samples


@pytest.mark.parametrize(
    ("patch", "neutral"),
    [
        (patches.RescaleCFG, lambda m: patches.RescaleCFG(m, 0.0)),
        (lambda m: patches.ModelSamplingDiscrete(m, "v_prediction"), patches.ModelSamplingDiscrete),
        (lambda m: patches.ModelSamplingDiscrete(m, "x0"), patches.ModelSamplingDiscrete),
        (lambda m: patches.ModelSamplingDiscrete(m, "lcm"), None),
        (lambda m: patches.ModelSamplingDiscrete(m, "img_to_img"), None),
        (lambda m: patches.ModelSamplingDiscrete(m, "eps", zsnr=True), None),
        (patches.FreeU, lambda m: patches.FreeU(m, 1.0, 1.0, 1.0, 1.0)),
        (patches.FreeU_V2, lambda m: patches.FreeU_V2(m, 1.0, 1.0, 1.0, 1.0)),
        (patches.PerturbedAttentionGuidance, lambda m: patches.PerturbedAttentionGuidance(m, 0.0)),
        (patches.SelfAttentionGuidance, lambda m: patches.SelfAttentionGuidance(m, 0.0)),
        (lambda m: patches.HyperTile(m, 32), lambda m: patches.HyperTile(m, 256)),
        (lambda m: patches.HyperTile(m, 32, 8, 1, True), lambda m: patches.HyperTile(m, 2048, 8, 1, True)),
        (lambda m: patches.TomePatchModel(m, 0.5), lambda m: patches.TomePatchModel(m, 0.0)),
        (
            lambda m: patches.PatchModelAddDownscale(m, 1, end_percent=1.0),
            lambda m: patches.PatchModelAddDownscale(m, 1, downscale_factor=1.0, end_percent=1.0),
        ),
        (
            lambda m: patches.PatchModelAddDownscale(m, 2, end_percent=1.0, downscale_after_skip=False),
            lambda m: patches.PatchModelAddDownscale(m, 1, start_percent=1.0, end_percent=1.0),
        ),
        (
            lambda m: patches.LatentApplyOperationCFG(m, LatentOperation(TonemapRule(1.0))),
            lambda m: patches.LatentApplyOperationCFG(m, LatentOperation(SharpenRule(2, 1.0, 0.0))),
        ),
    ],
)
def test_a_patch_changes_the_picture_and_its_neutral_setting_does_not(parts: Parts, patch: Patch, neutral: Patch):
    plain = sample(parts)
    changed = sample(parts, patch)
    assert torch.isfinite(changed).all()
    assert changed.shape == plain.shape
    assert apart(changed, plain) > 1e-4
    if neutral is not None:
        assert apart(sample(parts, neutral), plain) < 1e-4


def test_perturbed_attention_spares_the_attention_that_self_attention_guidance_watches(parts: Parts):
    def watched(model: ModelRef) -> ModelRef:
        return patches.SelfAttentionGuidance(model, 1.0)

    alone = sample(parts, watched)
    both = [
        sample(parts, lambda m: watched(patches.PerturbedAttentionGuidance(m))),
        sample(parts, lambda m: patches.PerturbedAttentionGuidance(watched(m))),
    ]
    assert all(apart(each, alone) < 1e-5 for each in both)


def test_a_patched_run_leaves_nothing_behind(parts: Parts):
    plain, loads = sample(parts), parts.context.residency.loads.unet
    sample(parts, lambda m: patches.FreeU(patches.TomePatchModel(patches.PerturbedAttentionGuidance(m))))
    assert torch.equal(sample(parts), plain)
    assert parts.context.residency.loads.unet == loads


def test_patches_add_up_and_the_last_model_sampling_counts(parts: Parts):
    both = sample(parts, lambda m: patches.FreeU(patches.RescaleCFG(m)))
    assert apart(both, sample(parts, patches.FreeU)) > 1e-4
    assert apart(both, sample(parts, patches.RescaleCFG)) > 1e-4
    again = sample(parts, lambda m: patches.ModelSamplingDiscrete(patches.ModelSamplingDiscrete(m, "x0"), "eps"))
    assert apart(again, sample(parts)) < 1e-6


def test_the_same_seed_draws_the_same_merges(parts: Parts):
    merged = sample(parts, lambda m: patches.TomePatchModel(m, 0.5))
    assert torch.equal(merged, sample(parts, lambda m: patches.TomePatchModel(m, 0.5)))


def test_downscaling_every_block_fits_the_way_up(parts: Parts):
    for number in range(1, 4):
        for after in (False, True):
            changed = sample(
                parts,
                lambda m, number=number, after=after: patches.PatchModelAddDownscale(
                    m, number, 1.7, 0.0, 1.0, after, "bislerp", "bilinear"
                ),
                steps=1,
            )
            assert torch.isfinite(changed).all()


def test_downscaling_beyond_the_last_block_does_nothing(parts: Parts):
    assert torch.equal(sample(parts, lambda m: patches.PatchModelAddDownscale(m, 32)), sample(parts))


def test_a_grey_mask_changes_less_than_a_white_one(parts: Parts):
    start = Latent(torch.randn(1, 4, 8, 16, generator=torch.Generator().manual_seed(2)))

    def changed(grey: float, patch: Patch | None) -> float:
        masked = replace(start, noise_mask=torch.full((1, 8, 16), grey))
        return apart(sample(parts, patch, latent=masked, steps=6, denoise=0.9), start.samples)

    steps = [changed(grey, patches.DifferentialDiffusion) for grey in (0.1, 0.5, 1.0)]
    assert steps[0] < steps[1] < steps[2]
    neutral = changed(0.5, lambda m: patches.DifferentialDiffusion(m, 1e-9))
    assert neutral == pytest.approx(changed(0.5, None), rel=1e-5)
    assert changed(0.5, patches.DifferentialDiffusion) != pytest.approx(neutral, rel=1e-2)


def test_self_attention_guidance_asks_for_a_negative_prompt(parts: Parts):
    guider = GuiderRef(patches.SelfAttentionGuidance(parts.model), CfgRule(parts.positive))
    with pytest.raises(DiffusionError, match="needs a negative prompt"):
        SamplerCustomAdvanced(
            parts.context,
            NoiseRef(1),
            guider,
            SamplerRef("euler"),
            KarrasScheduler(1),
            EmptyLatent(128, 64),
        )


def test_a_model_computes_in_the_type_that_was_asked_for(parts: Parts):
    plain = sample(parts)

    def computed_in(dtype: Any) -> torch.Tensor:
        model = patches.ModelComputeDtype(parts.context, parts.model, dtype)
        loaded = parts.context.residency.unet(model)
        assert loaded.module.conv_in.weight.dtype == loaded.dtype
        return sample(parts, lambda _: patches.RescaleCFG(model, 0.0))

    assert 1e-4 < apart(computed_in("bf16"), plain) < 0.2
    assert 0.0 < apart(computed_in("fp64"), plain) < 1e-4
    assert apart(computed_in("fp32"), plain) < 1e-6
    again = patches.ModelComputeDtype(parts.context, replace(parts.model, compute_dtype="bf16"), "default")
    assert again == parts.model
    with pytest.raises(DiffusionError, match="does not compute models in fp16"):
        patches.ModelComputeDtype(parts.context, parts.model, "fp16")


def test_a_patched_model_can_be_kept_on_disk(parts: Parts):
    model = patches.FreeU_V2(patches.PatchModelAddDownscale(patches.HyperTile(parts.model)))
    codec = Codec(VALUE_MODULES)
    assert codec.read(*codec.write(model)) == model
