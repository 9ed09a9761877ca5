"""The samplers by name: which function runs, with which settings, and where its noise comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from diffusion.sampling import dpm, dpmpp, er_sde, euler, lcm, multistep, res, sa_solver, sde, seeds, unipc
from diffusion.sampling.discrete import DiscreteSchedule
from diffusion.sampling.names import check_sampler
from diffusion.sampling.noise import any_size_noise, brownian_noise, generator_after, generator_noise
from diffusion.sampling.protocols import GuidedDenoise, Report

NoiseSource = Literal["none", "generator", "brownian", "brownian_on_device", "any_size"]


@dataclass(frozen=True, slots=True)
class Sampler:
    """A sampler ready to run; `options` are its keyword arguments where they differ from the function's defaults."""

    run: Callable[..., Tensor]
    noise: NoiseSource = "none"
    options: Mapping[str, object] = field(default_factory=dict)
    drops_penultimate: bool = False
    """KSampler nodes give it one step more and leave out the last sigma before zero, where its inner evaluation would
    gain nothing."""
    level_options: Callable[[DiscreteSchedule], Mapping[str, object]] | None = None
    """Settings that depend on the model's noise levels; `options` go before them."""
    fresh_mask_noise: bool = False
    """With a noise mask, what lies outside is noised with a second draw (seed + 1). The run's generator goes on from
    there, mask or not."""
    discards_noise: bool = False
    """It draws noise before each step and makes no use of it; where options draw too, pictures show that."""
    rises: bool = False
    """Whether it can follow sigmas that rise even while it adds noise; every sampler can that adds none."""
    repeats: bool = False
    """Whether a level that repeats the one before is a step, which to most samplers it isn't."""

    def __call__(
        self,
        denoise: GuidedDenoise,
        x: Tensor,
        sigmas: Sequence[float],
        *,
        seed: int,
        levels: DiscreteSchedule,
        report: Report,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Run from `x` at the first of `sigmas` to the last. `levels` are the model's; `seed` that of added noise, and
        `generator` what the run's unseeded draws come from (None: one that has drawn the first noise of the seed)."""
        options = {**(self.level_options(levels) if self.level_options else {}), **self.options}
        if self.noise == "generator":
            options["noise"] = generator_noise(x, seed)
        elif self.noise == "any_size":
            options["noise"] = any_size_noise(generator or generator_after(x.shape, seed))
        elif self.noise != "none":
            options["noise"] = brownian_noise(x, sigmas, seed, on_device=self.noise == "brownian_on_device")
        if self.discards_noise and generator is not None and x.device.type == "cpu":
            report = _discarding(report, x.shape, generator)
        return self.run(denoise, x, sigmas, report=report, **options)

    @property
    def follows_rising(self) -> bool:
        """Whether it can follow sigmas that rise, as it is set."""
        return self.rises or self.noise == "none" or self.options.get("eta") == 0.0

    def with_options(self, **options: object) -> Sampler:
        """The same sampler with other settings."""
        return replace(self, options={**self.options, **options})


def _discarding(report: Report, shape: torch.Size, generator: torch.Generator) -> Report:
    """A report that draws noise of a shape before each step."""
    torch.randn(shape, generator=generator)

    def reported(step: int, sigma: float, denoised: Tensor) -> None:
        report(step, sigma, denoised)
        torch.randn(shape, generator=generator)

    return reported


def sampler_named(name: str) -> Sampler:
    """The sampler called `name`. Raises `DiffusionError` for an unknown one."""
    check_sampler(name)
    return SAMPLER_TABLE[name]


def _tau(levels: DiscreteSchedule) -> Mapping[str, object]:
    """SA-Solver is stochastic in the middle three fifths of the timesteps, as in the reference recordings."""
    return {"tau": sa_solver.tau_between(levels.percent_to_sigma(0.2), levels.percent_to_sigma(0.8))}


_ancestral = partial(Sampler, noise="generator", rises=True)
_seeded = partial(Sampler, noise="generator")
_brownian = partial(Sampler, noise="brownian")
_on_device = partial(Sampler, noise="brownian_on_device")

SAMPLER_TABLE: Mapping[str, Sampler] = {
    "euler": Sampler(euler.euler),
    "euler_cfg_pp": Sampler(euler.euler_cfg_pp),
    "euler_ancestral": _ancestral(euler.euler_ancestral),
    "euler_ancestral_cfg_pp": _ancestral(euler.euler_ancestral_cfg_pp),
    "heun": Sampler(euler.heun),
    "heunpp2": Sampler(euler.heunpp2, discards_noise=True),
    "dpm_2": Sampler(dpm.dpm_2, drops_penultimate=True),
    "dpm_2_ancestral": _ancestral(dpm.dpm_2_ancestral, drops_penultimate=True),
    "lms": Sampler(multistep.lms),
    "dpm_fast": Sampler(dpm.dpm_fast),
    "dpm_adaptive": Sampler(dpm.dpm_adaptive),
    "dpmpp_2s_ancestral": _ancestral(dpmpp.dpmpp_2s_ancestral),
    "dpmpp_2s_ancestral_cfg_pp": _ancestral(dpmpp.dpmpp_2s_ancestral_cfg_pp),
    "dpmpp_sde": _brownian(sde.dpmpp_sde),
    "dpmpp_sde_gpu": _on_device(sde.dpmpp_sde),
    "dpmpp_2m": Sampler(dpmpp.dpmpp_2m),
    "dpmpp_2m_cfg_pp": Sampler(dpmpp.dpmpp_2m_cfg_pp),
    "dpmpp_2m_sde": _brownian(sde.dpmpp_2m_sde),
    "dpmpp_2m_sde_gpu": _on_device(sde.dpmpp_2m_sde),
    "dpmpp_2m_sde_heun": _brownian(sde.dpmpp_2m_sde, options={"solver_type": "heun"}),
    "dpmpp_2m_sde_heun_gpu": _on_device(sde.dpmpp_2m_sde, options={"solver_type": "heun"}),
    "dpmpp_3m_sde": _brownian(sde.dpmpp_3m_sde),
    "dpmpp_3m_sde_gpu": _on_device(sde.dpmpp_3m_sde),
    # DDPM's ancestral step is Euler's with the noise of the posterior, written for x / sqrt(sigma² + 1).
    "ddpm": _seeded(euler.euler_ancestral),
    "lcm": _ancestral(lcm.lcm, repeats=True),
    "ipndm": Sampler(multistep.ipndm),
    "ipndm_v": Sampler(multistep.ipndm_v),
    "deis": Sampler(multistep.deis),
    "res_multistep": Sampler(res.res_multistep),
    "res_multistep_cfg_pp": Sampler(res.res_multistep_cfg_pp),
    "res_multistep_ancestral": _ancestral(res.res_multistep, options={"eta": 1.0}),
    "res_multistep_ancestral_cfg_pp": _ancestral(res.res_multistep_cfg_pp, options={"eta": 1.0}),
    "gradient_estimation": Sampler(res.gradient_estimation),
    "gradient_estimation_cfg_pp": Sampler(res.gradient_estimation_cfg_pp),
    "er_sde": _ancestral(er_sde.er_sde),
    "seeds_2": _seeded(seeds.seeds_2),
    "seeds_3": _seeded(seeds.seeds_3),
    "sa_solver": _seeded(sa_solver.sa_solver, level_options=_tau),
    "sa_solver_pece": _seeded(sa_solver.sa_solver, options={"pece": True}, level_options=_tau),
    "ddim": Sampler(euler.euler, fresh_mask_noise=True),
    "uni_pc": Sampler(unipc.uni_pc, drops_penultimate=True),
    "uni_pc_bh2": Sampler(unipc.uni_pc, options={"variant": "bh2"}, drops_penultimate=True),
    "plms": Sampler(multistep.plms),
}
