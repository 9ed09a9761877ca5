"""What every schedule holds to, and what sets each apart."""

from __future__ import annotations

import math

import pytest
import torch

from diffusion.errors import DiffusionError
from diffusion.sampling.names import SCHEDULES
from diffusion.sampling.schedules import karras_between, schedule
from tests.diffusion.sampling.models import LEVELS

STEPS = (1, 2, 3, 7, 20, 100)
MAY_DIFFER_IN_LENGTH = {"ddim_uniform", "beta"}


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("steps", STEPS)
def test_a_schedule_falls_to_zero(name: str, steps: int) -> None:
    sigmas = schedule(LEVELS, name, steps)
    assert sigmas.dtype == torch.float32
    assert torch.isfinite(sigmas).all()
    assert (sigmas.diff() < 0).all()
    assert sigmas[-1] == 0.0


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("steps", STEPS)
def test_a_schedule_has_a_sigma_for_each_step_and_the_zero(name: str, steps: int) -> None:
    if name not in MAY_DIFFER_IN_LENGTH:
        assert len(schedule(LEVELS, name, steps)) == steps + 1


@pytest.mark.parametrize("name", sorted(set(SCHEDULES) - {"ddim_uniform"}))
@pytest.mark.parametrize("steps", STEPS)
def test_a_schedule_starts_at_the_top(name: str, steps: int) -> None:
    assert float(schedule(LEVELS, name, steps)[0]) == pytest.approx(LEVELS.sigma_max, rel=1e-5)


def test_ddim_uniform_takes_a_whole_stride() -> None:
    sigmas = schedule(LEVELS, "ddim_uniform", 30)
    assert len(sigmas) == 32
    assert torch.equal(sigmas[:-1], LEVELS.sigmas[1::33].flip(0))


def test_beta_visits_no_timestep_twice() -> None:
    sigmas = schedule(LEVELS, "beta", 999)
    assert len(sigmas) < 1000
    assert (sigmas.diff() < 0).all()


def test_karras_is_even_in_the_seventh_root() -> None:
    roots = karras_between(9, 0.1, 10.0)[:-1] ** (1 / 7)
    assert torch.allclose(roots.diff(), roots.diff()[0].expand(8), rtol=1e-3)


def test_kl_optimal_is_even_in_the_arctangent() -> None:
    angles = schedule(LEVELS, "kl_optimal", 9)[:-1].atan()
    assert float(angles[0]) == pytest.approx(math.atan(LEVELS.sigma_max))
    assert torch.allclose(angles.diff(), angles.diff()[0].expand(8), rtol=1e-3)


def test_linear_quadratic_goes_on_with_the_slope_of_its_first_half() -> None:
    steps = schedule(LEVELS, "linear_quadratic", 1000).diff()
    assert float(steps[500] / steps[499]) == pytest.approx(1.0, abs=0.1)
    assert float(steps[-1] / steps[0]) > 10


@pytest.mark.parametrize("steps", [0, -3])
def test_fewer_than_one_step_is_an_error_that_names_the_input(steps: int) -> None:
    with pytest.raises(DiffusionError, match="at least 1") as caught:
        schedule(LEVELS, "karras", steps)
    assert caught.value.input == "steps"
