"""Each guidance node on a reduced checkpoint: it changes the picture, and its neutral setting, if any, does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch

from diffusion.values import Conditioning, ModelRef
from executor.codec import Codec
from executor.settings import VALUE_MODULES
from nodes import guidance
from nodes.custom_sampling import RandomNoise, SamplerCustomAdvanced
from nodes.guiders import PerpNegGuider
from nodes.latent import EmptyLatent
from nodes.model_patches import ModelSamplingDiscrete, RescaleCFG
from nodes.samplers import KSamplerSelect
from nodes.sampling import KSampler
from nodes.sdk import NodeError
from nodes.sigmas import BasicScheduler
from tests.nodes.fake_context import FakeContext
from tests.nodes.reduced import apart, loaded, loud

Patch = Callable[[ModelRef], ModelRef]


class Parts(NamedTuple):
    context: FakeContext
    model: ModelRef
    positive: Conditioning
    negative: Conditioning
    empty: Conditioning


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    context, model, clip = loaded(tmp_path_factory.mktemp("data"))
    return Parts(context, model, *loud(context, clip, "a fox", "a plain hen", ""))


def sample(parts: Parts, patch: Patch = lambda model: model, cfg: float = 3.0, sampler: str = "euler") -> torch.Tensor:
    latent = EmptyLatent(128, 64, 2)
    return KSampler(
        parts.context, patch(parts.model), parts.positive, parts.negative, latent, 5, 2, cfg, sampler, "karras"
    ).samples


@pytest.mark.parametrize(
    ("patch", "neutral"),
    [
        (guidance.APG, None),
        (guidance.TCFG, None),
        (guidance.FreSca, lambda m: guidance.FreSca(m, 1.0, 1.0)),
        (guidance.CFGNorm, None),
        (guidance.RenormCFG, lambda m: guidance.RenormCFG(m, renorm_cfg=0.0)),
        (guidance.CFGZeroStar, None),
        (guidance.Mahiro, None),
        (lambda m: guidance.EpsilonScaling(m, 1.1), lambda m: guidance.EpsilonScaling(m, 1.0)),
    ],
)
def test_a_patch_changes_the_picture_and_its_neutral_setting_does_not(parts: Parts, patch: Patch, neutral: Patch):
    plain = sample(parts)
    changed = sample(parts, patch)
    assert torch.isfinite(changed).all()
    assert apart(changed, plain) > 1e-4
    assert torch.isfinite(sample(parts, patch, 1.0)).all()
    assert torch.isfinite(sample(parts, patch, 1.5, "euler_cfg_pp")).all()
    if neutral is not None:
        assert apart(sample(parts, neutral), plain) < 1e-4


@pytest.mark.parametrize("patch", [guidance.TCFG, guidance.RenormCFG, guidance.CFGZeroStar, guidance.Mahiro])
def test_without_a_negative_these_do_nothing(parts: Parts, patch: Patch):
    assert apart(sample(parts, patch, 1.0), sample(parts, cfg=1.0)) < 1e-5


def test_neutral_projection_is_a_scale_higher_by_1(parts: Parts):
    found = sample(parts, lambda m: guidance.APG(m, norm_threshold=0.0))
    assert apart(found, sample(parts, cfg=4.0)) < 1e-4


def test_the_node_and_the_guider_of_perp_neg_agree(parts: Parts):
    found = sample(parts, lambda m: guidance.PerpNeg(m, parts.empty, 0.7))
    guider = PerpNegGuider(parts.model, parts.positive, parts.negative, parts.empty, 3.0, 0.7)
    sigmas = BasicScheduler(parts.context, parts.model, "karras", 2)
    expected, _ = SamplerCustomAdvanced(
        parts.context, RandomNoise(5), guider, KSamplerSelect("euler"), sigmas, EmptyLatent(128, 64, 2)
    )
    assert apart(found, expected.samples) < 1e-4
    assert apart(found, sample(parts)) > 1e-4


def test_of_the_nodes_that_mix_the_last_counts(parts: Parts):
    found = sample(parts, lambda m: guidance.RenormCFG(guidance.PerpNeg(RescaleCFG(m), parts.empty)))
    assert apart(found, sample(parts, guidance.RenormCFG)) < 1e-5


def test_above_the_noise_level_only_the_positive_counts(parts: Parts):
    truncated = sample(parts, lambda m: guidance.RenormCFG(m, cfg_trunc=0.0))
    assert apart(truncated, sample(parts, cfg=1.0)) < 1e-4
    started = sample(parts, lambda m: guidance.RenormCFG(ModelSamplingDiscrete(m, "v_prediction", zsnr=True)))
    assert torch.isfinite(started).all()


@pytest.mark.parametrize(
    ("make", "input"),
    [
        (lambda p: guidance.APG(p.model, momentum=float("nan")), "momentum"),
        (lambda p: guidance.EpsilonScaling(p.model, 0.0), "scaling_factor"),
        (lambda p: guidance.PerpNeg(p.model, Conditioning(())), "empty_conditioning"),
    ],
)
def test_a_setting_that_means_nothing_is_refused(parts: Parts, make: Callable[[Parts], ModelRef], input: str):
    with pytest.raises(NodeError) as caught:
        make(parts)
    assert caught.value.input == input


def test_a_patched_model_can_be_kept_on_disk(parts: Parts):
    model = guidance.APG(guidance.PerpNeg(guidance.TCFG(parts.model), parts.empty))
    codec = Codec(VALUE_MODULES)
    again = codec.read(*codec.write(model))
    assert sample(parts, lambda _: again).equal(sample(parts, lambda _: model))
