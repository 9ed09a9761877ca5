"""One sampling run, from the inputs of a KSampler node to the finished latent."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor

from diffusion.errors import BadLatent, DiffusionError
from diffusion.sampling.discrete import DiscreteSchedule
from diffusion.sampling.guidance import Guidance
from diffusion.sampling.mask import MaskedDenoise, fit_mask
from diffusion.sampling.noise import initial_noise
from diffusion.sampling.protocols import Check, DenoiserModel, GuidedDenoise, OnStep, Start, StepInfo
from diffusion.sampling.samplers import Sampler, sampler_named
from diffusion.sampling.schedules import schedule
from diffusion.values import Conditioning, Latent

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
    """Sample a latent along given sigmas: at least two, positive but for the last, no two neighbours the same."""
    _check_latent(model, latent, seed)
    levels = _checked_levels(sigmas, sampler)
    with torch.inference_mode():
        samples = latent.samples.float()
        noise = initial_noise(samples.shape, seed, latent.batch_index) if add_noise else torch.zeros_like(samples)
        original = (samples * model.latent_scale).to(model.device)
        mask = None
        if latent.noise_mask is not None:
            mask = fit_mask(latent.noise_mask, samples.shape).to(model.device)
        start = Start(original, mask, seed)
        denoise: GuidedDenoise = Guidance(
            model, positive, negative, cfg, shape=samples.shape, start=start, check=check
        )
        if mask is not None:
            outside = initial_noise(samples.shape, (seed + 1) % 2**64) if sampler.fresh_mask_noise else noise
            denoise = MaskedDenoise(denoise, mask, original, outside.to(model.device))

        def report(step: int, sigma: float, denoised: Tensor) -> None:
            if on_step is not None:
                on_step(StepInfo(step + 1, len(levels) - 1, sigma, denoised))

        x = torch.add(original, noise.to(model.device), alpha=_noise_amount(model.sampling, levels[0]))
        x = sampler(denoise, x, levels, seed=seed, levels=model.sampling, report=report)
    # Outside of inference mode, so that what leaves is an ordinary tensor.
    return replace(latent, samples=(x / model.latent_scale).to("cpu", torch.float32))


def _checked_levels(sigmas: Tensor, sampler: Sampler) -> list[float]:
    """The sigmas as numbers. A level that repeats the one before is no step and is left out."""
    given: list[float] = sigmas.tolist()
    levels = given[:1] + [sigma for before, sigma in pairwise(given) if sigma != before]
    if len(levels) < 2 or not all(0.0 < sigma < math.inf for sigma in levels[:-1]) or not 0.0 <= levels[-1] < math.inf:
        raise DiffusionError(
            "The sigmas must be at least two, and positive but for the last.", input="sigmas", code="bad_sigmas"
        )
    if sampler.noise != "none" and any(after > before for before, after in pairwise(levels)):
        raise DiffusionError(
            "This sampler adds noise on the way down and cannot follow sigmas that rise. Use euler for that.",
            input="sampler",
            code="bad_sigmas",
        )
    return levels


def _noise_amount(levels: DiscreteSchedule, sigma: float) -> float:
    """The first sigma; at the model's largest, where the latent is all noise to the model, sqrt(1 + sigma²)."""
    at_top = sigma > levels.sigma_max or math.isclose(sigma, levels.sigma_max, rel_tol=1e-5)
    return math.sqrt(1 + sigma**2) if at_top else sigma


def _check_latent(model: DenoiserModel, latent: Latent, seed: int) -> None:
    shape = list(latent.samples.shape)
    if len(shape) != 4 or shape[1] != model.latent_channels:
        raise BadLatent(
            f"The model takes latents of {model.latent_channels} channels, [batch, {model.latent_channels}, height, "
            f"width]; this one is {shape}.",
            input="latent_image",
        )
    if latent.batch_index is not None and len(latent.batch_index) != shape[0]:
        raise BadLatent(
            f"The latent has {shape[0]} pictures but a batch index of {len(latent.batch_index)}.", input="latent_image"
        )
    if not 0 <= seed < 2**64:
        raise DiffusionError(f"A seed is from 0 to 2^64 - 1, not {seed}.", input="seed", code="bad_seed")
