"""Sampling as the KSampler nodes do it: from a sampler, a schedule and steps by name to the finished latent."""

from __future__ import annotations

import torch
from torch import Tensor

from diffusion.errors import DiffusionError
from diffusion.sampling.discrete import DiscreteSchedule
from diffusion.sampling.guiders import guide_by
from diffusion.sampling.protocols import Check, DenoiserModel, OnStep
from diffusion.sampling.run import run
from diffusion.sampling.samplers import Sampler, sampler_named
from diffusion.sampling.schedules import schedule
from diffusion.values import CfgRule, Conditioning, Latent, NoiseRef

MAX_SCHEDULE = 1_000_000
"""The longest schedule that is made to take its end."""


def sample(
    model: DenoiserModel,
    *,
    latent: Latent,
    positive: Conditioning,
    negative: Conditioning,
    seed: int,
    steps: int,
    cfg: float,
    sampler: str,
    scheduler: str,
    denoise: float = 1.0,
    start_step: int | None = None,
    last_step: int | None = None,
    force_full_denoise: bool = False,
    add_noise: bool = True,
    on_step: OnStep | None = None,
    check: Check | None = None,
) -> Latent:
    """Sample a latent as the KSampler nodes do.

    denoise: the part of the schedule to run, from its end; 0 gives the latent back. start_step, last_step: the steps to
    run, the last not included; a last step beyond the end is the end. force_full_denoise: end at sigma 0 even before
    the last step of the schedule. add_noise: start from noise of `seed`, or from the latent as it is.
    Returns the latent with new samples and the mask and batch index it came with. Raises `DiffusionError`, whose
    `input` is the node input to blame, before the model is called.
    """
    chosen = sampler_named(sampler)
    sigmas = run_sigmas(model.sampling, chosen, scheduler, steps, denoise)
    if len(sigmas) == 0:
        return latent
    sigmas = cut_steps(sigmas, start_step, last_step, force_full_denoise)
    return sample_sigmas(
        model,
        chosen,
        sigmas,
        latent=latent,
        positive=positive,
        negative=negative,
        cfg=cfg,
        seed=seed,
        add_noise=add_noise,
        on_step=on_step,
        check=check,
    )


def run_sigmas(levels: DiscreteSchedule, sampler: Sampler, scheduler: str, steps: int, denoise: float = 1.0) -> Tensor:
    """The sigmas of a KSampler run: with `denoise` below 1, the last `steps` of a schedule of steps / denoise; none at
    0."""
    if not 0.0 <= denoise <= 1.0:
        raise DiffusionError(f"Denoise must be from 0 to 1, not {denoise}.", input="denoise", code="bad_denoise")
    if steps < 1:
        raise DiffusionError(f"The number of steps must be at least 1, not {steps}.", input="steps", code="bad_steps")
    if denoise == 0.0:
        return torch.empty(0)
    total = steps if denoise > 0.9999 else int(steps / denoise)
    if total > MAX_SCHEDULE:
        raise DiffusionError(
            f"{steps} steps at a denoise of {denoise} are the end of a schedule of {total}; at most {MAX_SCHEDULE} can "
            "be made. Raise denoise or take fewer steps.",
            input="denoise",
            code="bad_denoise",
        )
    if not sampler.drops_penultimate:
        sigmas = schedule(levels, scheduler, total)
    else:
        sigmas = schedule(levels, scheduler, total + 1)
        sigmas = torch.cat([sigmas[:-2], sigmas[-1:]])
    return sigmas if denoise > 0.9999 else sigmas[-(steps + 1) :]


def cut_steps(sigmas: Tensor, start: int | None, end: int | None, force_full_denoise: bool) -> Tensor:
    """The sigmas from step `start` to before step `end`, whose last is 0 with `force_full_denoise`."""
    total = len(sigmas) - 1
    first, last = start or 0, total if end is None else min(end, total)
    if not 0 <= first < last:
        raise DiffusionError(
            f"No steps to run: the start step {first} is not before the end step {last} of {total}.",
            input="start_at_step" if first >= total else "end_at_step",
            code="no_steps",
        )
    cut = sigmas[first : last + 1].clone()
    if force_full_denoise:
        cut[-1] = 0.0
    return cut


def sample_sigmas(
    model: DenoiserModel,
    sampler: Sampler,
    sigmas: Tensor,
    *,
    latent: Latent,
    positive: Conditioning,
    negative: Conditioning,
    cfg: float,
    seed: int,
    add_noise: bool = True,
    on_step: OnStep | None = None,
    check: Check | None = None,
) -> Latent:
    """Sample a latent along given sigmas with two sides of prompts and a scale."""
    guide = guide_by(model, CfgRule(positive, negative, cfg), check)
    noise = NoiseRef(seed, drawn=add_noise)
    return run(model, guide, sampler, sigmas, latent=latent, noise=noise, on_step=on_step).latent
