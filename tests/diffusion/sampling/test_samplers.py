"""What the mathematics asks of every sampler, on models whose answers are known."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch
from torch import Tensor

from diffusion.sampling.names import SAMPLERS
from diffusion.sampling.samplers import SAMPLER_TABLE
from diffusion.sampling.schedules import karras_between, schedule
from tests.diffusion.sampling.models import LEVELS, Counted, Denoiser, gaussian, gaussian_path

NOISY = tuple(name for name in SAMPLERS if SAMPLER_TABLE[name].noise != "none")
QUIET = tuple(name for name in SAMPLERS if SAMPLER_TABLE[name].noise == "none")
UNEVEN = {"ipndm_v"}  # in the form of the reference, its weights add up to the step only where steps are even
OFF_BY_GUIDANCE = {
    "dpmpp_2s_ancestral_cfg_pp"
}  # takes the unconditional direction of its inner point for the whole step
STOPS_EARLY = {"dpm_fast", "dpm_adaptive"}  # at the last sigma that isn't zero
X = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))

IDLE = {("uni_pc", 1), ("uni_pc_bh2", 1)}
"""Runs that do not use the model's answer."""


def run(name: str, denoise: Counted | Denoiser, x: Tensor, sigmas: list[float], seed: int = 0) -> Tensor:
    guided = denoise if isinstance(denoise, Counted) else Counted(denoise)
    return SAMPLER_TABLE[name](guided, x, sigmas, seed=seed, levels=LEVELS, report=lambda *_: None)


def levels(steps: int, low: float = 0.03, high: float = 14.6) -> list[float]:
    return karras_between(steps, low, high).tolist()


def target(x: Tensor, sigma: float) -> Tensor:
    return torch.full_like(x, 0.7)


@pytest.mark.parametrize(("name", "steps"), [pair for pair in product(SAMPLERS, [1, 2, 3, 4, 9]) if pair not in IDLE])
def test_a_model_that_always_answers_one_picture_gets_it(name: str, steps: int) -> None:
    sigmas = levels(steps)
    result = run(name, target, X * sigmas[0], sigmas)
    left = sigmas[-2] if name in STOPS_EARLY else 0.001 if name.startswith("uni_pc") else 0.0
    assert (result - 0.7).abs().max() <= left * float((X - 0.7 / sigmas[0]).abs().max()) + 1e-3


@pytest.mark.parametrize("name", sorted(set(QUIET) - UNEVEN))
def test_a_run_that_ends_above_zero_is_left_with_the_noise_of_that_level(name: str) -> None:
    sigmas = [10.0, 6.0, 3.0, 1.0, 0.5]
    result = run(name, target, X * 10.0 + 0.7, sigmas)
    assert torch.allclose(result, X * 0.5 + 0.7, atol=2e-5)


ORDERS = {
    "euler": 1, "ddim": 1, "euler_cfg_pp": 1, "gradient_estimation": 1, "heun": 2, "dpm_2": 2, "dpm_fast": 2,
    "dpmpp_2m": 2, "dpmpp_2m_cfg_pp": 2, "lms": 2, "ipndm": 2, "ipndm_v": 2, "deis": 2, "plms": 2, "res_multistep": 2,
    "res_multistep_cfg_pp": 2, "uni_pc": 2, "uni_pc_bh2": 2,
}  # fmt: skip
"""Multistep methods are held to the second order that their first steps, of lower order, leave them."""


@pytest.mark.parametrize(("name", "order"), ORDERS.items())
def test_halving_the_steps_divides_the_error_as_the_order_says(name: str, order: int) -> None:
    """From sigma 8 to 1 on a normal distribution, in even steps of log sigma."""
    errors: list[float] = []
    for steps in (24, 48):
        sigmas = torch.linspace(math.log(8.0), 0.0, steps + 1, dtype=torch.float64).exp().tolist()
        x = X.double() * 8.0
        result = run(name, gaussian(1.5), x, sigmas)
        errors.append(float((result - gaussian_path(x, 1.5, 8.0, 1.0)).norm()))
    assert math.log2(errors[0] / errors[1]) >= order - 0.25


@pytest.mark.parametrize("name", QUIET)
def test_many_steps_find_the_end_of_the_ode(name: str) -> None:
    sigmas = levels(100)
    x = X * sigmas[0]
    expected = gaussian_path(x, 0.8, sigmas[0], sigmas[-2] if name in STOPS_EARLY else 0.0)
    assert float((run(name, gaussian(0.8), x, sigmas) - expected).norm() / expected.norm()) < 0.05


@pytest.mark.parametrize("name", NOISY)
def test_many_noisy_steps_draw_from_the_distribution(name: str) -> None:
    x = torch.randn(1, 4, 64, 64, generator=torch.Generator().manual_seed(1)) * 14.6
    result = run(name, gaussian(0.8), x, levels(60), seed=7)
    assert abs(float(result.mean())) < 0.03
    if name not in OFF_BY_GUIDANCE | {
        "lcm"
    }:  # lcm is made for models that map to the data in one step, which a mean of the data is not
        assert float(result.std()) == pytest.approx(0.8, rel=0.06)


@pytest.mark.parametrize("name", NOISY)
def test_noise_comes_from_the_seed_alone(name: str) -> None:
    sigmas = levels(5)
    first, again, other = (run(name, gaussian(0.8), X * sigmas[0], sigmas, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other, atol=1e-3)


EVALUATIONS = {
    "heun": 2, "dpm_2": 2, "dpm_2_ancestral": 2, "dpmpp_2s_ancestral": 2, "dpmpp_2s_ancestral_cfg_pp": 2,
    "dpmpp_sde": 2, "dpmpp_sde_gpu": 2, "seeds_2": 2, "seeds_3": 3, "sa_solver_pece": 2,
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(set(SAMPLERS) - {"dpm_adaptive"}))
def test_a_sampler_asks_the_model_no_more_than_its_method_needs(name: str) -> None:
    steps = 7
    model = Counted(gaussian(0.8))
    run(name, model, X, levels(steps))
    expected = (steps - 1) * EVALUATIONS.get(name, 1) + 1
    if name == "heunpp2":
        expected = (steps - 2) * 3 + 2 + 1
    if name == "plms":
        expected = steps + 1
    if name == "sa_solver_pece":
        expected = steps * 2 - 1
    if name == "dpm_fast":
        expected = steps
    assert len(model.sigmas) == expected
    assert all(sigma > 0.0 for sigma in model.sigmas)


@pytest.mark.parametrize("name", SAMPLERS)
def test_steps_are_reported_in_order_with_the_denoised_picture(name: str) -> None:
    seen: list[tuple[int, float]] = []

    def report(step: int, sigma: float, denoised: Tensor) -> None:
        assert denoised.shape == X.shape
        seen.append((step, sigma))

    sigmas = levels(6)
    SAMPLER_TABLE[name](Counted(gaussian(0.8)), X * 14.6, sigmas, seed=0, levels=LEVELS, report=report)
    steps = [step for step, _ in seen]
    assert steps == sorted(steps)
    assert steps[-1] == 5
    if name not in STOPS_EARLY:
        assert steps == list(range(6))


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_given_latent_is_left_as_it_was(name: str) -> None:
    x = X * 14.6
    before = x.clone()
    run(name, gaussian(0.8), x, levels(4))
    assert torch.equal(x, before)


@pytest.mark.parametrize("name", [name for name in SAMPLERS if name.endswith("cfg_pp") and name not in OFF_BY_GUIDANCE])
def test_cfg_pp_without_guidance_is_the_plain_sampler(name: str) -> None:
    sigmas = schedule(LEVELS, "normal", 6).tolist()
    plain = run(name.removesuffix("_cfg_pp"), gaussian(0.8), X * 14.6, sigmas)
    assert torch.allclose(run(name, gaussian(0.8), X * 14.6, sigmas), plain, atol=1e-4)


@pytest.mark.parametrize("name", [name for name in SAMPLERS if name.endswith("_gpu")])
def test_on_the_cpu_drawing_noise_on_the_device_is_the_same(name: str) -> None:
    sigmas = levels(4)
    assert torch.equal(run(name, gaussian(0.8), X, sigmas), run(name.removesuffix("_gpu"), gaussian(0.8), X, sigmas))


@pytest.mark.parametrize("name", ["euler_ancestral", "dpmpp_2m_sde", "dpmpp_3m_sde", "dpmpp_sde", "seeds_2", "seeds_3"])
def test_eta_0_adds_no_noise(name: str) -> None:
    sampler = SAMPLER_TABLE[name].with_options(eta=0.0)
    first, other = (
        sampler(Counted(gaussian(0.8)), X * 14.6, levels(40), seed=seed, levels=LEVELS, report=lambda *_: None)
        for seed in (0, 1)
    )
    assert torch.equal(first, other)
    expected = gaussian_path(X * 14.6, 0.8, 14.6, 0.0)
    assert float((first - expected).norm() / expected.norm()) < 0.05


def test_dpm_adaptive_stops_at_a_model_that_breaks_down() -> None:
    from diffusion.errors import DiffusionError

    with pytest.raises(DiffusionError, match="not finite"):
        run("dpm_adaptive", lambda x, sigma: x * math.nan, X, levels(5))
