"""One sampling run: from a latent, a guide, a sampler and the sigmas to follow, to the finished latent."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from diffusion.errors import BadLatent, DiffusionError
from diffusion.ops.batches import repeat_to
from diffusion.sampling.discrete import DiscreteSchedule
from diffusion.sampling.mask import MaskedDenoise, fit_mask
from diffusion.sampling.noise import drawn_noise
from diffusion.sampling.protocols import DenoiserModel, GuidedDenoise, OnStep, Start, StepInfo
from diffusion.sampling.run_patches import RunPatch, patches_of
from diffusion.sampling.samplers import Sampler
from diffusion.values import Latent, NoiseRef

Guide = Callable[[Start, Sequence[RunPatch]], GuidedDenoise]
"""Makes the guided model of a run, with the patches that are in place."""


@dataclass(frozen=True, slots=True, eq=False)
class Sampled:
    """What a run gives: the latent at the last sigma, and the model's last guess at the clean one."""

    latent: Latent
    denoised: Latent


def run(
    model: DenoiserModel,
    guide: Guide,
    sampler: Sampler,
    sigmas: Tensor,
    *,
    latent: Latent,
    noise: NoiseRef,
    on_step: OnStep | None = None,
) -> Sampled:
    """Sample a latent along given sigmas, positive but for the last; fewer than two are no step.

    Returns the latent with new samples and the mask and batch index it came with. Raises `DiffusionError`, whose
    `input` is the node input to blame, before the model is called.
    """
    if sigmas.numel() == 0:
        return Sampled(latent, latent)
    check_latent(model, latent)
    if not 0 <= noise.seed < 2**64:
        raise DiffusionError(f"A seed is from 0 to 2^64 - 1, not {noise.seed}.", input="seed", code="bad_seed")
    levels = _checked_levels(sigmas, sampler)
    with torch.inference_mode():
        samples = latent.samples.float()
        generator = torch.Generator("cpu").manual_seed(noise.seed)
        outside = first = noise_for(noise, latent, generator)
        original = (samples * model.latent_scale).to(model.device)
        mask = None
        if latent.noise_mask is not None:
            mask = fit_mask(latent.noise_mask, samples.shape).to(model.device)
        if sampler.fresh_mask_noise:
            generator = torch.Generator("cpu").manual_seed((noise.seed + 1) % 2**64)
            outside = drawn_noise(generator, samples.shape)
        start = Start(original, mask, noise.seed, generator)
        patches = patches_of(model, start, levels)
        denoise = guide(start, patches)
        if mask is not None:
            denoise = MaskedDenoise(denoise, mask, original, outside.to(model.device), patches)
        last: list[Tensor] = []

        def report(step: int, sigma: float, denoised: Tensor) -> None:
            last[:] = [denoised]
            if on_step is not None:
                on_step(StepInfo(step + 1, len(levels) - 1, sigma, denoised))

        x = torch.add(original, first.to(model.device), alpha=noise_amount(model.sampling, levels[0]))
        if len(levels) > 1:
            x = sampler(denoise, x, levels, seed=noise.seed, levels=model.sampling, report=report, generator=generator)
    # Outside of inference mode, so that what leaves is an ordinary tensor.
    result = replace(latent, samples=(x / model.latent_scale).to("cpu", torch.float32))
    if not last:
        return Sampled(result, result)
    return Sampled(result, replace(latent, samples=(last[0] / model.latent_scale).to("cpu", torch.float32)))


def noise_for(noise: NoiseRef, latent: Latent, generator: torch.Generator | None = None) -> Tensor:
    """The noise float32 `[B,C,h,w]` that a run of this latent starts from. Given noise is repeated or cut to the batch;
    any other is drawn from the generator, a new one of the seed unless given."""
    shape = latent.samples.shape
    if noise.given is not None:
        given = noise.given.float()
        if given.dim() != 4 or given.shape[1:] != shape[1:]:
            raise BadLatent(
                f"The noise is {list(given.shape)} and the latent {list(shape)}: they must agree in all but the batch.",
                input="noise",
            )
        return repeat_to(given, shape[0])
    if not noise.drawn:
        return torch.zeros(shape)
    source = torch.Generator("cpu").manual_seed(noise.seed) if generator is None else generator
    return drawn_noise(source, shape, latent.batch_index)


def noise_amount(levels: DiscreteSchedule, sigma: float) -> float:
    """How much noise a run begins with: the first sigma; at the model's largest, where the latent is all noise to the
    model, sqrt(1 + sigma²)."""
    at_top = sigma > levels.sigma_max or math.isclose(sigma, levels.sigma_max, rel_tol=1e-5)
    return math.sqrt(1 + sigma**2) if at_top else sigma


def check_latent(model: DenoiserModel, latent: Latent) -> None:
    """Raise `BadLatent` for a latent that the model can't take."""
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


def _checked_levels(sigmas: Tensor, sampler: Sampler) -> list[float]:
    """The sigmas as numbers. Where a level that repeats the one before is no step, it is left out."""
    given: list[float] = sigmas.tolist()
    kept = sampler.repeats
    levels = given[:1] + [sigma for before, sigma in pairwise(given) if sigma != before or (kept and sigma > 0.0)]
    if not all(0.0 < sigma < math.inf for sigma in levels[:-1]) or not 0.0 <= levels[-1] < math.inf:
        raise DiffusionError("The sigmas must be positive but for the last.", input="sigmas", code="bad_sigmas")
    if not sampler.follows_rising and any(after > before for before, after in pairwise(levels)):
        raise DiffusionError(
            "This sampler adds noise on the way down and cannot follow sigmas that rise.",
            hint="Use euler for that, or an eta of 0 where the sampler has one.",
            input="sampler",
            code="bad_sigmas",
        )
    return levels
