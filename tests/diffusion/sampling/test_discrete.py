"""Noise levels and timesteps."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.diffusion.sampling.models import LEVELS


def test_stable_diffusion_runs_from_0_029_to_14_6() -> None:
    assert len(LEVELS) == 1000
    assert LEVELS.sigma_min == pytest.approx(0.0291672, rel=1e-5)
    assert LEVELS.sigma_max == pytest.approx(14.614641, rel=1e-6)


@given(st.integers(0, 999))
def test_a_level_is_at_its_own_timestep(timestep: int) -> None:
    assert LEVELS.timestep(float(LEVELS.sigmas[timestep])) == timestep
    assert float(LEVELS.sigma(torch.tensor(timestep))) == pytest.approx(float(LEVELS.sigmas[timestep]), rel=1e-6)


@given(st.integers(0, 998), st.floats(0.01, 0.99))
def test_a_sigma_between_two_levels_goes_to_the_nearer_in_log_sigma(below: int, part: float) -> None:
    low, high = float(LEVELS.sigmas[below]), float(LEVELS.sigmas[below + 1])
    timestep = LEVELS.timestep(low ** (1 - part) * high**part)
    assert timestep in (below, below + 1)
    if abs(part - 0.5) > 0.01:
        assert timestep == below + round(part)


def test_sigmas_beyond_the_ends_go_to_the_ends() -> None:
    assert LEVELS.timestep(1e-3) == 0
    assert LEVELS.timestep(80.0) == 999


def test_a_range_from_0_to_1_takes_in_every_level() -> None:
    assert LEVELS.percent_to_sigma(0.0) == math.inf
    assert LEVELS.percent_to_sigma(1.0) == 0.0
    assert LEVELS.percent_to_sigma(0.5) == pytest.approx(float(LEVELS.sigma(torch.tensor(499.5))))
