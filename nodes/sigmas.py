"""Nodes that make the noise levels of a run, and cut, turn and change them."""

from __future__ import annotations

import math
from typing import Annotated, Literal, NamedTuple

from diffusion.sampling.names import SCHEDULES
from diffusion.values import ModelRef, Sigmas
from nodes.sampling import check_numbers
from nodes.sdk import Choices, Context, Help, Label, NodeError, Range, node

_SCHEDULERS = "sampling/custom/schedulers"
_SIGMAS = "sampling/custom/sigmas"
_BEYOND = 999_999_999.9
"""A noise level above every other, in a finite number."""
_DENOISE = Help("1 starts from pure noise; less keeps the end of a longer schedule, to change a picture.")

Steps = Annotated[int, Range(1, 10000), Help("How many steps to take.")]
Denoise = Annotated[float, Range(0.0, 1.0, 0.01, slider=True), _DENOISE]
SigmaMax = Annotated[float, Range(0.0, 5000.0, 0.01), Help("The first level. 14.61 suits Stable Diffusion 1 to XL.")]
SigmaMin = Annotated[float, Range(0.0, 5000.0, 0.01), Help("The last level before 0.")]


class SplitLevels(NamedTuple):
    high_sigmas: Sigmas
    low_sigmas: Sigmas


@node(title="Schedule", category=_SCHEDULERS)
def BasicScheduler(
    context: Context,
    model: Annotated[ModelRef, Help("The model whose noise levels count.")],
    scheduler: Annotated[str, Choices(SCHEDULES), Help("How the noise levels are spread over the steps.")] = "simple",
    steps: Steps = 20,
    denoise: Denoise = 1.0,
) -> Sigmas:
    """The noise levels that *Sample* would follow, never more than the steps asked for. Below a denoise of 1, the last
    steps of a schedule of steps / denoise."""
    from diffusion.sampling.ksampler import run_sigmas
    from diffusion.sampling.samplers import sampler_named

    levels = context.residency.unet(model).sampling
    return run_sigmas(levels, sampler_named("euler"), scheduler, steps, denoise)[-(steps + 1) :]


@node(title="Schedule: Karras", category=_SCHEDULERS)
def KarrasScheduler(
    steps: Steps = 20,
    sigma_max: SigmaMax = 14.614642,
    sigma_min: SigmaMin = 0.0291675,
    rho: Annotated[float, Range(0.0, 100.0, 0.01), Help("Higher gives more steps to low noise; 7 is usual.")] = 7.0,
) -> Sigmas:
    """Even steps in the rho-th root of sigma (Karras et al. 2022)."""
    from diffusion.sampling.schedules import karras_between

    if rho <= 0.0:
        raise NodeError("rho must be above 0.", input="rho")
    check_numbers(sigma_min=sigma_min)
    _check_ends(sigma_max=sigma_max)
    return karras_between(steps, sigma_min, sigma_max, rho)


@node(title="Schedule: exponential", category=_SCHEDULERS)
def ExponentialScheduler(steps: Steps = 20, sigma_max: SigmaMax = 14.614642, sigma_min: SigmaMin = 0.0291675) -> Sigmas:
    """Even steps in log sigma."""
    from diffusion.sampling.schedules import exponential_between

    _check_ends(sigma_max=sigma_max, sigma_min=sigma_min)
    return exponential_between(steps, sigma_min, sigma_max)


@node(title="Schedule: polyexponential", category=_SCHEDULERS)
def PolyexponentialScheduler(
    steps: Steps = 20,
    sigma_max: SigmaMax = 14.614642,
    sigma_min: SigmaMin = 0.0291675,
    rho: Annotated[float, Range(0.0, 100.0, 0.01), Help("1 is the exponential schedule; more favours low noise.")] = (
        1.0
    ),
) -> Sigmas:
    """Steps in log sigma that are spaced by a power."""
    from diffusion.sampling.levels import polyexponential

    _check_ends(sigma_max=sigma_max, sigma_min=sigma_min)
    return polyexponential(steps, sigma_min, sigma_max, rho)


@node(title="Schedule: Laplace", category=_SCHEDULERS)
def LaplaceScheduler(
    steps: Annotated[int, Range(1, 10000), Help("How many levels there are: one more than steps.")] = 20,
    sigma_max: SigmaMax = 14.614642,
    sigma_min: SigmaMin = 0.0291675,
    mu: Annotated[float, Range(-10.0, 10.0, 0.1), Help("The log of the level that steps crowd around.")] = 0.0,
    beta: Annotated[float, Range(0.0, 10.0, 0.1), Help("How widely they spread around it.")] = 0.5,
) -> Sigmas:
    """Levels that crowd around one in the middle (Hang et al. 2024). At the last, a little noise is left."""
    from diffusion.sampling.levels import laplace

    check_numbers(sigma_min=sigma_min)
    _check_ends(sigma_max=sigma_max)
    return laplace(steps, sigma_min, sigma_max, mu, beta)


@node(title="Schedule: variance preserving", category=_SCHEDULERS)
def VPScheduler(
    steps: Steps = 20,
    beta_d: Annotated[float, Range(0.0, 5000.0, 0.01), Help("How fast noise grows with time.")] = 19.9,
    beta_min: Annotated[float, Range(0.0, 5000.0, 0.01), Help("How fast it grows at the start.")] = 0.1,
    eps_s: Annotated[float, Range(0.0, 1.0, 0.0001), Label("last time"), Help("The time of the last level.")] = 0.001,
) -> Sigmas:
    """Even steps in the time of the continuous variance-preserving diffusion (Song et al. 2021)."""
    from diffusion.sampling.levels import variance_preserving

    return variance_preserving(steps, beta_d, beta_min, eps_s)


@node(title="Schedule: SD Turbo", category=_SCHEDULERS)
def SDTurboScheduler(
    context: Context,
    model: Annotated[ModelRef, Help("The model whose noise levels count.")],
    steps: Annotated[int, Range(1, 10), Help("One is enough for a Turbo model; four are better.")] = 1,
    denoise: Denoise = 1.0,
) -> Sigmas:
    """The levels that Turbo models were trained on: every hundredth timestep from the top."""
    from diffusion.sampling.levels import turbo

    return turbo(context.residency.unet(model).sampling, steps, denoise)


@node(title="Schedule: beta", category=_SCHEDULERS)
def BetaSamplingScheduler(
    context: Context,
    model: Annotated[ModelRef, Help("The model whose noise levels count.")],
    steps: Steps = 20,
    alpha: Annotated[float, Range(0.0, 50.0, 0.01), Help("Below 1 crowds steps at high noise.")] = 0.6,
    beta: Annotated[float, Range(0.0, 50.0, 0.01), Help("Below 1 crowds steps at low noise.")] = 0.6,
) -> Sigmas:
    """Timesteps at even quantiles of a beta distribution."""
    from diffusion.sampling import schedules

    for name, value in (("alpha", alpha), ("beta", beta)):
        if not value > 0.0:
            raise NodeError(f"{name} must be above 0.", input=name)
    return schedules.beta(context.residency.unet(model).sampling, steps, alpha, beta)


@node(title="Schedule: Align Your Steps", category=_SCHEDULERS)
def AlignYourStepsScheduler(
    model_type: Annotated[Literal["SD1", "SDXL", "SVD"], Label("family"), Help("The family of the model.")] = "SD1",
    steps: Annotated[int, Range(1, 10000), Help("10 is what the levels were found for.")] = 10,
    denoise: Denoise = 1.0,
) -> Sigmas:
    """Levels found by optimisation for few steps (Sabour et al. 2024); other numbers of steps are interpolated."""
    from diffusion.sampling.levels import align_your_steps

    return align_your_steps(model_type, steps, denoise)


@node(title="Schedule: GITS", category=_SCHEDULERS)
def GITSScheduler(
    coeff: Annotated[
        float,
        Range(0.80, 1.50, 0.05),
        Label("coefficient"),
        Help("Higher takes more of the steps at low noise; 1.2 is what the authors use."),
    ] = 1.20,
    steps: Annotated[int, Range(2, 1000), Help("2 to 20 were searched for; more are interpolated.")] = 10,
    denoise: Denoise = 1.0,
) -> Sigmas:
    """Levels at which few steps stray least from Stable Diffusion 1's paths (Chen et al. 2024)."""
    from diffusion.sampling.gits import gits

    return gits(coeff, steps, denoise)


@node(title="Split sigmas", category=_SIGMAS)
def SplitSigmas(
    sigmas: Sigmas, step: Annotated[int, Range(0, 10000), Help("How many steps the first part has.")] = 0
) -> SplitLevels:
    """Cuts noise levels in two at a step, for two samplers in a row: the high ones first, then the low ones."""
    from diffusion.sampling.levels import split_at

    return SplitLevels(*split_at(sigmas, step))


@node(title="Split sigmas by denoise", category=_SIGMAS)
def SplitSigmasDenoise(
    sigmas: Sigmas,
    denoise: Annotated[float, Range(0.0, 1.0, 0.01), Help("The part of the steps in the second half.")] = 1.0,
) -> SplitLevels:
    """Cuts noise levels in two, with a given part of the steps in the low ones."""
    from diffusion.sampling.levels import split_at_denoise

    return SplitLevels(*split_at_denoise(sigmas, denoise))


@node(title="Flip sigmas", category=_SIGMAS)
def FlipSigmas(sigmas: Sigmas) -> Sigmas:
    """Turns noise levels round, to walk from a picture to the noise that would make it. Use euler for that."""
    from diffusion.sampling.levels import flipped

    return flipped(sigmas)


@node(title="Set first sigma", category=_SIGMAS)
def SetFirstSigma(
    sigmas: Sigmas, sigma: Annotated[float, Range(0.0, 20000.0, 0.001), Help("The new first level.")] = 136.0
) -> Sigmas:
    """Replaces the first noise level."""
    from diffusion.sampling.levels import with_first

    return with_first(sigmas, sigma)


@node(title="Extend sigmas", category=_SIGMAS)
def ExtendIntermediateSigmas(
    sigmas: Sigmas,
    steps: Annotated[int, Range(1, 100), Help("Each step in the range becomes so many.")] = 2,
    start_at_sigma: Annotated[
        float, Range(-1.0, 20000.0, 0.01), Help("Steps that begin above are left as they are; -1 means none is.")
    ] = -1.0,
    end_at_sigma: Annotated[
        float, Range(0.0, 20000.0, 0.01), Help("Steps that begin below are left as they are.")
    ] = 12.0,
    spacing: Annotated[
        Literal["linear", "cosine", "sine"],
        Help("Whether the new levels lie evenly, or crowd to the end (cosine) or the start (sine) of a step."),
    ] = "linear",
) -> Sigmas:
    """Puts further noise levels between those of a range, for finer steps there."""
    from diffusion.sampling.levels import extended

    return extended(sigmas, steps, math.inf if start_at_sigma < 0.0 else start_at_sigma, end_at_sigma, spacing)


@node(title="Percent to sigma", category=_SIGMAS)
def SamplingPercentToSigma(
    context: Context,
    model: Annotated[ModelRef, Help("The model whose noise levels count.")],
    sampling_percent: Annotated[
        float, Range(0.0, 1.0, 0.0001), Label("percent"), Help("The part of the timesteps that is done: 0 to 1.")
    ] = 0.0,
    return_actual_sigma: Annotated[
        bool, Label("actual sigma"), Help("At 0 and 1 give the model's highest and lowest level, not beyond any level.")
    ] = False,
) -> float:
    """The noise level when a part of the sampling is done."""
    levels = context.residency.unet(model, hold=False).sampling
    if return_actual_sigma and sampling_percent in (0.0, 1.0):
        return levels.sigma_min if sampling_percent else levels.sigma_max
    return min(levels.percent_to_sigma(sampling_percent), _BEYOND)


def _check_ends(**ends: float) -> None:
    check_numbers(**ends)
    for name, value in ends.items():
        if value <= 0.0:
            raise NodeError(f"{name} must be above 0.", input=name)
