"""Samplers with settings: a `SamplerRef` as it runs. Beside the names that menus show, some exist only here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from diffusion.errors import DiffusionError
from diffusion.sampling import euler, lcm, sa_solver
from diffusion.sampling.samplers import Sampler, sampler_named
from diffusion.values import SamplerRef


def sampler_of(ref: SamplerRef) -> Sampler:
    """The sampler that a reference names, with its settings. Raises `DiffusionError` for an unknown name."""
    options: dict[str, Any] = dict(ref.options)
    match ref.name:
        case "ddim_eta":
            return Sampler(euler.euler_ancestral, noise="generator", options=options, fresh_mask_noise=True)
        case "dpm_adaptive":
            noise = "generator" if options.get("eta") else "none"
            return Sampler(sampler_named(ref.name).run, noise=noise, options=options)
        case "er_sde" if options:
            return _er_sde(options)
        case "sa_solver" | "sa_solver_pece" if options:
            return _sa_solver(ref.name, options)
        case "euler_pp":
            return Sampler(euler.euler_pp)
        case "lcm_upscale":
            return _lcm_upscale(options)
        case _:
            return sampler_named(ref.name).with_options(**options)


def _er_sde(options: Mapping[str, Any]) -> Sampler:
    """`solver_type` chooses the noise scale: that of ER-SDE; sigma^(1 + eta), of a reverse-time SDE; or sigma, the
    ODE."""
    solver, eta = options["solver_type"], float(options["eta"])
    kept = {"max_stage": options["max_stage"], "s_noise": options["s_noise"]}
    if solver == "ER-SDE":
        return sampler_named("er_sde").with_options(**kept)
    if solver == "ODE":
        eta = 0.0
    elif solver != "Reverse-time SDE":
        raise DiffusionError(f"There is no solver type {solver!r}.", input="solver_type", code="bad_sampler")
    if eta == 0.0:
        kept["s_noise"] = 0.0
    kept["scale"] = lambda sigma: sigma ** (1.0 + eta)
    return replace(sampler_named("er_sde"), options=kept)


def _sa_solver(name: str, options: Mapping[str, Any]) -> Sampler:
    kept = dict(options)
    high, low, eta = kept.pop("sde_start_sigma"), kept.pop("sde_end_sigma"), kept.pop("eta")
    set_up = sampler_named(name).with_options(**kept, tau=sa_solver.tau_between(high, low, eta))
    return replace(set_up, rises=eta == 0.0)


def _lcm_upscale(options: Mapping[str, Any]) -> Sampler:
    from diffusion.latents import scaled

    kept = dict(options)
    method = kept.pop("upscale_method")
    kept["resize"] = lambda x, width, height: scaled(x, width, height, method)
    return Sampler(lcm.lcm_upscale, noise="any_size", options=kept, rises=True, repeats=True)
