"""Noise levels given directly."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffusion.errors import DiffusionError
from diffusion.sampling import levels
from diffusion.sampling.schedules import exponential_between
from tests.diffusion.sampling.models import LEVELS


def test_the_polyexponential_schedule_with_rho_1_is_the_exponential():
    plain = exponential_between(12, 0.03, 14.6)
    assert torch.allclose(levels.polyexponential(12, 0.03, 14.6), plain, rtol=1e-5)
    assert (levels.polyexponential(12, 0.03, 14.6, 2.0)[1:-2] < plain[1:-2]).all()
    with pytest.raises(DiffusionError, match="above 0"):
        levels.polyexponential(3, 0.0, 1.0)


def test_the_variance_preserving_schedule_follows_its_formula():
    made = levels.variance_preserving(3, 19.9, 0.1, 0.001)
    expected = [math.sqrt(math.exp(19.9 * t * t / 2 + 0.1 * t) - 1) for t in (1.0, 0.5005, 0.001)]
    assert made.tolist() == pytest.approx([*expected, 0.0], rel=1e-4)


@pytest.mark.parametrize("steps", [1, 2, 9, 20])
def test_the_laplace_schedule_is_the_quantiles_of_its_distribution(steps: int):
    mu, scale, low, high = 0.4, 0.7, 0.05, 12.0
    made = levels.laplace(steps, low, high, mu, scale)
    assert len(made) == steps
    for index, sigma in enumerate(made.tolist()):
        place = index / max(1, steps - 1)
        tail = -math.log(1 - 2 * abs(0.5 - place) + 1e-5) * (1 if place < 0.5 else -1 if place > 0.5 else 0)
        assert sigma == pytest.approx(min(high, max(low, math.exp(mu + scale * tail))), rel=1e-5)


@pytest.mark.parametrize(("spacing", "middle"), [("linear", 0.5), ("cosine", 2**-0.5), ("sine", 1 - 2**-0.5)])
def test_levels_in_between_are_spaced_as_asked(spacing: str, middle: float):
    sigmas = torch.tensor([8.0, 4.0, 0.0])
    made = levels.extended(sigmas, 2, math.inf, 8.0, spacing)
    assert made.tolist() == pytest.approx([8.0, 8.0 - 4.0 * middle, 4.0, 0.0])
    assert torch.equal(levels.extended(sigmas, 1, math.inf, 0.0, spacing), sigmas)
    assert torch.equal(levels.extended(sigmas, 3, 2.0, 1.0, spacing), sigmas)
    assert levels.extended(sigmas[:0], 3, math.inf, 0.0, spacing).numel() == 0


def test_turbo_steps_are_every_hundredth_timestep():
    assert torch.allclose(levels.turbo(LEVELS, 2, 1.0), torch.cat([LEVELS.sigmas[[999, 899]], torch.zeros(1)]))
    assert torch.allclose(levels.turbo(LEVELS, 1, 0.5), torch.cat([LEVELS.sigmas[[499]], torch.zeros(1)]))


@pytest.mark.parametrize("family", levels.ALIGN_YOUR_STEPS)
def test_ten_aligned_steps_are_the_published_ones(family: str):
    made = levels.align_your_steps(family, 10)
    assert made[:-1].tolist() == pytest.approx(levels.ALIGN_YOUR_STEPS[family][:-1], rel=1e-6)
    assert made[-1] == 0.0


def test_other_numbers_of_aligned_steps_are_interpolated_in_log_sigma():
    table = levels.ALIGN_YOUR_STEPS["SD1"]
    made = levels.align_your_steps("SD1", 20)
    assert made[0::2][:-1].tolist() == pytest.approx(table[:-1], rel=1e-5)
    assert float(made[1]) == pytest.approx(math.sqrt(table[0] * table[1]), rel=1e-5)
    assert torch.equal(levels.align_your_steps("SD1", 20, 0.5), made[-11:])
    assert levels.align_your_steps("SD1", 20, 0.0).numel() == 0


def test_a_split_by_a_denoise_of_no_step_leaves_the_first_part_empty():
    high, low = levels.split_at_denoise(torch.tensor([3.0, 2.0, 1.0, 0.0]), 0.1)
    assert (high.tolist(), low.tolist()) == ([], [0.0])


@given(st.integers(1, 30), st.integers(0, 40))
def test_the_parts_of_a_split_share_the_level_between(count: int, step: int):
    sigmas = torch.linspace(10, 0, count + 1)
    high, low = levels.split_at(sigmas, step)
    if step <= count:
        assert torch.equal(torch.cat([high, low[1:]]), sigmas)
        assert high[-1] == low[0]
    else:
        assert torch.equal(high, sigmas)
        assert low.numel() == 0


@given(st.integers(1, 30), st.floats(0.0, 1.0))
def test_a_split_by_denoise_gives_its_part_of_the_steps_to_the_low_levels(count: int, denoise: float):
    high, low = levels.split_at_denoise(torch.linspace(10, 0, count + 1), denoise)
    steps = round(count * denoise)
    assert len(low) - 1 == steps
    assert len(high) + len(low) == (count + 2 if steps else 1)


def test_flipped_levels_start_just_above_zero():
    assert levels.flipped(torch.tensor([3.0, 1.0, 0.0])).tolist() == pytest.approx([0.0001, 1.0, 3.0])
    assert levels.flipped(torch.empty(0)).numel() == 0


def test_the_first_level_is_replaced_in_a_copy():
    sigmas = torch.tensor([3.0, 1.0, 0.0])
    assert levels.with_first(sigmas, 136.0).tolist() == [136.0, 1.0, 0.0]
    assert sigmas[0] == 3.0
