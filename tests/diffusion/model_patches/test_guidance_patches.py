"""Patches of guidance against their formulas, each written out anew, and against ComfyUI's rules for a missing side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from diffusion.errors import DiffusionError
from diffusion.model_patches.frequencies import FrequencyScaling, scaled_frequencies
from diffusion.model_patches.guided_length import Mahiro, NormedCfg, RenormedCfg, ZeroStar
from diffusion.model_patches.latent_operation import ChangedGuidance
from diffusion.model_patches.perp_neg import PerpNeg
from diffusion.model_patches.projected import AdaptiveProjection, TangentialDamping
from diffusion.model_patches.rescale import RescaleCfg
from diffusion.model_patches.rescaled_noise import EpsilonScaling
from diffusion.ops.latent_operations import apply
from diffusion.sampling.guiders import guide_by
from diffusion.sampling.protocols import Start
from diffusion.sampling.run_patches import RunPatch, Seen, mixed, prepared
from diffusion.values import CfgRule, DualCfgRule, LatentOperation, PerpNegRule, TonemapRule
from tests.diffusion.sampling.models import TinyModel, prompt

SHAPE = torch.Size((2, 4, 6, 10))
SIGMA = 3.0
X, P, N, E = (torch.randn(SHAPE, generator=torch.Generator().manual_seed(i)) * (i + 1) for i in range(4))


def guided(
    patches: Sequence[RunPatch], cfg: float = 7.0, *, negative: Tensor | None = N, sigma: float = SIGMA
) -> Tensor:
    seen = Seen(X, sigma, P, negative, cfg, lambda y, side, more: E)
    return mixed(prepared(seen, patches), patches)


def plain(cfg: float = 7.0) -> Tensor:
    return N + (P - N) * cfg


def lengths(x: Tensor) -> Tensor:
    return x.flatten(1).norm(dim=1).reshape(-1, 1, 1, 1)


def close(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other, rtol=1e-4, atol=1e-4)


def test_apg_adds_its_step_to_the_plain_one():
    assert close(guided([AdaptiveProjection(1.0, 0.0, 0.0)]), plain(8.0))
    step = (P - N) * torch.minimum(torch.tensor(1.0), 5.0 / lengths(P - N))
    direction = P / lengths(P)
    along = (step * direction).sum((1, 2, 3), keepdim=True) * direction
    assert close(guided([AdaptiveProjection(0.25, 5.0, 0.0)]), P + 7.0 * (step - along + 0.25 * along))
    assert close(guided([AdaptiveProjection(1.0, 0.0, 0.0)], 1.0, negative=None), 2 * P)


def test_apg_remembers_earlier_steps_until_noise_rises():
    patch = [AdaptiveProjection(1.0, 0.0, -0.5)]
    expected = [P + 7.0 * (P - N) * share for share in (1.0, 0.5, 0.75, 1.0)]
    found = [guided(patch, sigma=sigma) for sigma in (3.0, 2.0, 2.0, 2.5)]
    assert all(close(*both) for both in zip(found, expected, strict=True))


def test_apg_refuses_a_scale_of_0():
    with pytest.raises(DiffusionError, match="divides by the guidance scale"):
        guided([AdaptiveProjection(1.0, 5.0, 0.0)], 0.0)


def test_tangential_damping_keeps_the_negative_along_the_first_singular_vector():
    kept: list[Tensor] = []
    for x, p, n in zip(X, P, N, strict=True):
        noise = (x - n).flatten()
        first = torch.linalg.svd(torch.stack([noise, (x - p).flatten()]), full_matrices=False).Vh[0]
        kept.append(x - ((noise @ first) * first).reshape(x.shape))
    negative = torch.stack(kept)
    assert close(guided([TangentialDamping()]), negative + (P - negative) * 7.0)
    assert torch.equal(guided([TangentialDamping()], 1.0, negative=None), P)


def by_numpy(x: Tensor, low: float, high: float, cutoff: int) -> Tensor:
    frequencies = np.fft.fftshift(np.fft.fft2(x.double().numpy()), axes=(-2, -1))
    rows, columns = (range(side)[side // 2 - cutoff : side // 2 + cutoff] for side in x.shape[-2:])
    for row in range(x.shape[-2]):
        for column in range(x.shape[-1]):
            frequencies[..., row, column] *= low if row in rows and column in columns else high
    return torch.from_numpy(np.fft.ifft2(np.fft.ifftshift(frequencies, axes=(-2, -1))).real).float()


@pytest.mark.parametrize("cutoff", [2, 3, 4])
def test_low_and_high_frequencies_of_guidance_are_scaled_apart(cutoff: int):
    patch = [FrequencyScaling(0.5, 1.5, cutoff)]
    assert close(guided(patch), N + by_numpy(P - N, 0.5, 1.5, cutoff) * 7.0)
    assert close(guided(patch, 1.0, negative=None), by_numpy(P, 0.5, 1.5, cutoff))


def test_on_a_small_side_the_first_low_frequency_counts_from_the_end():
    x = X[..., :6]
    assert close(scaled_frequencies(x, 0.0, 1.0, 4), by_numpy(x, 0.0, 1.0, 4))
    assert not close(scaled_frequencies(x, 0.0, 1.0, 4), torch.zeros_like(x))


def test_no_place_gets_longer_than_in_the_positive():
    ratio = P.norm(dim=1, keepdim=True) / plain().norm(dim=1, keepdim=True)
    assert close(guided([NormedCfg(0.5)]), plain() * ratio.clamp(max=1.0) * 0.5)
    assert close(guided([NormedCfg(1.5)], 1.0, negative=None), P * 1.5)


def test_renormalised_guidance_is_as_long_as_the_positive_at_most():
    assert close(guided([RenormedCfg(100.0, 1.0)]), plain() * lengths(P) / lengths(plain()))
    assert close(guided([RenormedCfg(100.0, 100.0)]), plain())
    assert close(guided([RenormedCfg(100.0, 0.0)]), plain())
    assert torch.equal(guided([RenormedCfg(SIGMA, 0.5)]), P)
    assert close(guided([RenormedCfg(100.0, 0.5)], 1.0, negative=None), P * 0.5)


def test_zero_star_guides_away_from_a_share_of_the_negative():
    one, other = (X - P).flatten(1), (X - N).flatten(1)
    share = ((one * other).sum(1) / (other * other).sum(1)).reshape(-1, 1, 1, 1)
    assert close(guided([ZeroStar()]), share * N + 7.0 * (P - share * N))
    assert torch.equal(guided([ZeroStar()], 1.0, negative=None), P)


def test_mahiro_leaps_to_the_positive_where_the_negative_is_unlike_it():
    def root(x: Tensor) -> Tensor:
        return torch.where(x < 0, -((-x).clamp(min=0) ** 0.5), x.clamp(min=0) ** 0.5)

    one, other = root(7.0 * N), root((7.0 * P + plain()) / 2)
    alike = ((one * other).sum(1) / (one.norm(dim=1) * other.norm(dim=1))).mean()
    share = float(2 * (alike + 1))
    assert close(guided([Mahiro()]), (share * plain() + (4 - share) * 7.0 * P) / 4)
    assert close(guided([Mahiro()], 1.0, negative=None), P)


def test_epsilon_scaling_divides_the_noise():
    assert close(guided([EpsilonScaling(1.25)]), X - (X - plain()) / 1.25)
    assert close(guided([EpsilonScaling(1.25)], 1.0, negative=None), X - (X - P) / 1.25)


def test_perp_neg_sees_both_prompts_from_the_empty_one():
    def expected(negative: Tensor, cfg: float) -> Tensor:
        to, away = P - E, negative - E
        return E + cfg * (to - 0.5 * (away - (away * to).sum() / (to * to).sum() * to))

    patch = PerpNeg(prompt(0.0), 0.5)
    assert close(guided([patch]), expected(N, 7.0))
    assert close(guided([patch], 1.0, negative=None), expected(torch.zeros(SHAPE), 1.0))


def test_of_several_mixes_the_last_counts_and_the_other_patches_all_do():
    renormed = RenormedCfg(100.0, 0.5)
    assert close(guided([RescaleCfg(1.0), renormed]), guided([renormed]))
    assert close(guided([renormed, RescaleCfg(1.0)]), guided([RescaleCfg(1.0)]))
    assert torch.equal(guided([renormed, RescaleCfg(1.0)], 1.0, negative=None), P)
    both = guided([NormedCfg(1.0), EpsilonScaling(1.25)])
    assert close(both, X - (X - guided([NormedCfg(1.0)])) / 1.25)
    scaled = N + scaled_frequencies(P - N, 0.5, 1.5, 2)
    seen = Seen(X, SIGMA, scaled, N, 7.0, lambda y, side, more: E)
    assert close(guided([FrequencyScaling(0.5, 1.5, 2), TangentialDamping()]),
                 mixed(TangentialDamping().before(seen), []))  # fmt: skip


def alone(level: float) -> Tensor:
    """What `TinyModel` makes of X for a prompt."""
    return X - SIGMA * (0.5 * torch.tanh(X / math.sqrt(SIGMA**2 + 1)) + level)


def by(rule: CfgRule | DualCfgRule | PerpNegRule, *patches: RunPatch):
    return guide_by(TinyModel(), rule)(Start(torch.zeros(SHAPE)), patches)


def test_a_step_along_the_unconditional_latent_sees_the_damped_one():
    with_negative = by(CfgRule(prompt(0.3), prompt(-0.2), 1.0), TangentialDamping())
    seen = Seen(X, SIGMA, alone(0.3), alone(-0.2), 1.0, lambda y, side, more: E)
    damped = TangentialDamping().before(seen).negative
    assert damped is not None
    assert not close(damped, alone(-0.2))
    assert close(with_negative.with_unconditional(X, SIGMA)[1], damped)
    guided, unconditional = by(CfgRule(prompt(0.3)), TangentialDamping()).with_unconditional(X, SIGMA)
    assert close(guided, alone(0.3))
    assert not unconditional.any()


def test_perp_neg_brings_its_prompt_to_each_rule_that_mixes():
    patch = PerpNeg(prompt(0.1), 0.5)
    rule = PerpNegRule(prompt(0.3), prompt(-0.2), prompt(0.1), 7.0, 0.5)
    expected = by(rule)(X, SIGMA)
    assert close(by(CfgRule(prompt(0.3), prompt(-0.2), 7.0), patch)(X, SIGMA), expected)
    dual = by(DualCfgRule(prompt(0.3), prompt(0.3), prompt(-0.2), 1.0, 7.0), patch)
    assert close(dual(X, SIGMA), expected)
    other = replace(rule, empty=prompt(0.0))
    assert close(by(other, patch)(X, SIGMA), by(other)(X, SIGMA))


def test_the_perp_neg_guider_lets_patches_change_its_sides_and_two_prompts_do_not():
    rule = PerpNegRule(prompt(0.3), prompt(-0.2), prompt(0.1), 7.0, 0.0)
    doubled = 2 * alone(0.3)
    assert close(by(rule, AdaptiveProjection(1.0, 0.0, 0.0))(X, SIGMA),
                 alone(0.1) + 7.0 * (alone(0.3) * (1 + 1 / 7) - alone(0.1)))  # fmt: skip
    assert close(by(replace(rule, cfg=1.0), AdaptiveProjection(1.0, 0.0, 0.0))(X, SIGMA), doubled)
    dual = DualCfgRule(prompt(0.3), prompt(0.2), prompt(-0.2), 3.0, 5.0)
    assert close(by(dual, AdaptiveProjection(1.0, 0.0, 0.0))(X, SIGMA), by(dual)(X, SIGMA))


def test_a_latent_operation_changes_all_of_the_positive_for_the_perp_neg_guider():
    operation = LatentOperation(TonemapRule(0.5))
    rule = PerpNegRule(prompt(0.3), prompt(-0.2), prompt(0.1), 7.0, 0.0)
    positive = apply(alone(0.3), operation)
    assert close(by(rule, ChangedGuidance(operation))(X, SIGMA), alone(0.1) + 7.0 * (positive - alone(0.1)))


def test_two_scales_of_1_leave_zeros_for_patches_to_change():
    rule = DualCfgRule(prompt(0.3), prompt(0.2), prompt(-0.2), 1.0, 1.0)
    assert close(by(rule, EpsilonScaling(1.25))(X, SIGMA), alone(0.3) + X - X / 1.25)
    for patch in (NormedCfg(0.5), RenormedCfg(100.0, 0.5), Mahiro(), ZeroStar(), RescaleCfg(1.0)):
        assert close(by(rule, patch)(X, SIGMA), alone(0.3))
