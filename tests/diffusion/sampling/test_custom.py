"""Samplers with settings: each setting does what it says, and leaving it at its default changes nothing."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from diffusion.errors import DiffusionError
from diffusion.sampling.custom import sampler_of
from diffusion.sampling.guiders import guide_by
from diffusion.sampling.noise import drawn_noise
from diffusion.sampling.run import run
from diffusion.values import CfgRule, Latent, NoiseRef, SamplerRef
from tests.diffusion.sampling.models import TinyModel, prompt

EMPTY = Latent(torch.zeros(1, 4, 8, 8))
SIGMAS = torch.tensor([14.0, 6.0, 2.5, 1.0, 0.4, 0.1, 0.0])
SA: dict[str, Any] = {"eta": 1.0, "sde_start_sigma": 5.0, "sde_end_sigma": 0.5, "s_noise": 1.0}


def walk(
    name: str, latent: Latent = EMPTY, sigmas: torch.Tensor = SIGMAS, *, negative_only: bool = False, **options: Any
) -> torch.Tensor:
    model = TinyModel()
    guide = guide_by(model, CfgRule(prompt(-0.1 if negative_only else 0.1), prompt(-0.1), 3.0))
    made = run(
        model, guide, sampler_of(SamplerRef(name, tuple(options.items()))), sigmas, latent=latent, noise=NoiseRef(7)
    )
    return made.latent.samples


@pytest.mark.parametrize(
    ("name", "defaults", "changed"),
    [
        ("euler_ancestral", {"eta": 1.0, "s_noise": 1.0}, {"eta": 0.5}),
        ("euler_ancestral", {"eta": 1.0, "s_noise": 1.0}, {"s_noise": 0.5}),
        ("euler_ancestral_cfg_pp", {"eta": 1.0, "s_noise": 1.0}, {"eta": 0.5}),
        ("dpmpp_2s_ancestral", {"eta": 1.0, "s_noise": 1.0}, {"eta": 0.5}),
        ("lms", {"order": 4}, {"order": 2}),
        ("dpmpp_2m_sde", {"solver_type": "midpoint", "eta": 1.0}, {"solver_type": "heun"}),
        ("dpmpp_2m_sde", {"eta": 1.0, "s_noise": 1.0}, {"s_noise": 0.0}),
        ("dpmpp_3m_sde_gpu", {"eta": 1.0, "s_noise": 1.0}, {"eta": 0.0}),
        ("dpmpp_sde", {"eta": 1.0, "s_noise": 1.0, "r": 0.5}, {"r": 0.25}),
        ("dpm_adaptive", {"order": 3, "rtol": 0.05, "first_step": 0.05, "eta": 0.0}, {"rtol": 0.001}),
        ("dpm_adaptive", {"p": 0.0, "i": 1.0, "d": 0.0, "safety": 0.81}, {"p": 0.4, "i": 0.3}),
        ("dpm_adaptive", {}, {"order": 2}),
        ("dpm_adaptive", {}, {"eta": 0.5}),
        ("er_sde", {"solver_type": "ER-SDE", "max_stage": 3, "eta": 1.0, "s_noise": 1.0}, {"max_stage": 1}),
        (
            "er_sde",
            {"solver_type": "ER-SDE", "max_stage": 3, "eta": 1.0, "s_noise": 1.0},
            {"solver_type": "Reverse-time SDE"},
        ),
    ],
)
def test_a_setting_takes_effect_and_its_default_does_not(name: str, defaults: dict, changed: dict):
    plain = walk(name)
    assert torch.equal(walk(name, **defaults), plain)
    assert not torch.allclose(walk(name, **{**defaults, **changed}), plain, atol=1e-3)


@pytest.mark.parametrize("name", ["euler_ancestral", "dpm_2_ancestral"])
def test_a_step_that_an_eta_above_1_sends_to_zero_gets_no_noise(name: str):
    sigmas = torch.tensor([14.0, 1.0])
    down = walk(name, sigmas=sigmas, eta=1.5)
    assert torch.equal(down, walk(name, sigmas=sigmas, eta=3.0))
    assert torch.equal(down, walk(name, sigmas=sigmas, eta=1.5, s_noise=0.0))


@pytest.mark.parametrize("name", ["dpmpp_2m_sde", "dpmpp_3m_sde", "dpmpp_sde", "dpmpp_2s_ancestral"])
def test_without_noise_stochastic_samplers_follow_sigmas_that_rise(name: str):
    rising = torch.tensor([0.1, 0.2, 0.4, 0.7, 1.0, 1.5])
    assert torch.allclose(walk(name, sigmas=rising, eta=0.0), walk("heun", sigmas=rising), atol=0.2)


def test_reverse_time_er_sde_without_noise_is_the_ode():
    reverse: dict[str, Any] = {"solver_type": "Reverse-time SDE", "max_stage": 3, "eta": 0.0, "s_noise": 1.0}
    ode: dict[str, Any] = {**reverse, "solver_type": "ODE", "eta": 1.0}
    assert torch.equal(walk("er_sde", **reverse), walk("er_sde", **ode))
    first = {**ode, "max_stage": 1}
    assert torch.allclose(walk("er_sde", **first), walk("euler"), atol=1e-4)
    with pytest.raises(DiffusionError, match="no solver type"):
        walk("er_sde", **{**ode, "solver_type": "SDE"})


@pytest.mark.parametrize(
    "changed", [{"eta": 0.3}, {"sde_start_sigma": 0.5}, {"predictor_order": 1}, {"corrector_order": 0},
                {"simple_order_2": True, "predictor_order": 2, "corrector_order": 2}],
)  # fmt: skip
def test_each_setting_of_sa_solver_takes_effect(changed: dict):
    plain = walk("sa_solver", **SA)
    base = walk("sa_solver", **SA, predictor_order=2, corrector_order=2) if "simple_order_2" in changed else plain
    assert not torch.allclose(walk("sa_solver", **{**SA, **changed}), base, atol=1e-4)
    assert not torch.allclose(walk("sa_solver_pece", **SA), plain, atol=1e-4)


def test_the_simple_second_order_converges_to_the_ode_too():
    fine = torch.cat([torch.linspace(math.log(14.0), math.log(0.1), 200).exp(), torch.zeros(1)])
    given = {**SA, "eta": 0.0, "predictor_order": 2, "corrector_order": 2}
    exact = walk("heun", sigmas=fine)
    assert torch.allclose(walk("sa_solver", sigmas=fine, **given, simple_order_2=True), exact, atol=2e-3)


def test_the_adaptive_order_2_finds_the_same_path_and_follows_its_tolerance():
    fine = torch.cat([torch.linspace(math.log(14.0), math.log(0.1), 200).exp(), torch.tensor([0.1])])
    exact = walk("heun", sigmas=fine)
    close = walk("dpm_adaptive", sigmas=fine, order=2, rtol=1e-3, atol=1e-4)
    assert torch.allclose(close, exact, atol=2e-2)


def test_ddim_with_eta_0_is_ddim_and_with_eta_1_is_ancestral():
    assert torch.equal(walk("ddim_eta", eta=0.0, s_noise=1.0), walk("ddim"))
    assert torch.equal(walk("ddim_eta", eta=1.0, s_noise=1.0), walk("euler_ancestral"))
    assert not torch.allclose(walk("ddim_eta", eta=0.5, s_noise=1.0), walk("ddim"), atol=1e-3)


def test_the_alternative_euler_ends_at_twice_the_guided_latent_less_the_unconditional():
    to_zero = torch.tensor([3.0, 0.0])
    regular = walk("euler_cfg_pp", sigmas=to_zero)  # which ends at the guided latent
    unconditional = walk("euler", sigmas=to_zero, negative_only=True)
    assert torch.allclose(walk("euler_pp", sigmas=to_zero), 2 * regular - unconditional, atol=1e-4)


def test_upscaling_lcm_reaches_its_size_in_its_steps():
    for steps in (-1, 2, 1000):
        made = walk("lcm_upscale", scale_ratio=2.0, scale_steps=steps, upscale_method="bislerp")
        assert made.shape == ((1, 4, 16, 16) if steps != 1000 else (1, 4, 15, 15))
    assert walk("lcm_upscale", scale_ratio=2.0, scale_steps=0, upscale_method="area").shape == (1, 4, 8, 8)


def test_upscaling_lcm_goes_on_drawing_where_the_first_noise_ended():
    generator = torch.Generator().manual_seed(7)
    draws = [torch.randn(1, 4, 8, 8, generator=generator) for _ in range(2)]
    assert torch.equal(draws[0], drawn_noise(torch.Generator().manual_seed(7), (1, 4, 8, 8)))
    made = walk("lcm_upscale", sigmas=torch.tensor([3.0, 2.0]), scale_ratio=1.0, scale_steps=0, upscale_method="area")
    clean = walk("lcm_upscale", sigmas=torch.tensor([3.0, 0.0]), scale_ratio=1.0, scale_steps=0, upscale_method="area")
    assert torch.allclose(made - clean, draws[1] * 2.0 / TinyModel.latent_scale, atol=1e-4)


def test_a_mask_cannot_follow_a_latent_that_grows():
    masked = Latent(torch.zeros(1, 4, 8, 8), noise_mask=torch.ones(1, 8, 8))
    with pytest.raises(DiffusionError, match="noise mask can't follow"):
        walk("lcm_upscale", masked, scale_ratio=2.0, scale_steps=-1, upscale_method="area")


@pytest.mark.parametrize(
    ("noise", "expected"),
    [
        (NoiseRef(3), drawn_noise(torch.Generator().manual_seed(3), (2, 4, 8, 8))),
        (NoiseRef(3, drawn=False), torch.zeros(2, 4, 8, 8)),
        (NoiseRef(3, given=torch.ones(1, 4, 8, 8)), torch.ones(2, 4, 8, 8)),
    ],
)
def test_a_run_starts_from_its_noise(noise: NoiseRef, expected: torch.Tensor):
    model = TinyModel()
    guide = guide_by(model, CfgRule(prompt(0.1)))
    latent = Latent(torch.zeros(2, 4, 8, 8))
    made = run(model, guide, sampler_of(SamplerRef("euler")), torch.tensor([2.0]), latent=latent, noise=noise)
    assert torch.allclose(made.latent.samples, expected * 2.0 / TinyModel.latent_scale)


def test_given_noise_must_fit_the_latent():
    model = TinyModel()
    guide = guide_by(model, CfgRule(prompt(0.1)))
    with pytest.raises(DiffusionError, match="must agree") as caught:
        run(model, guide, sampler_of(SamplerRef("euler")), SIGMAS, latent=EMPTY,
            noise=NoiseRef(given=torch.ones(1, 4, 8, 9)))  # fmt: skip
    assert caught.value.input == "noise"


def test_no_sigmas_give_the_latent_back():
    assert walk("euler", sigmas=torch.empty(0)) is EMPTY.samples
