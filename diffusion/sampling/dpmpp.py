"""DPM-Solver++ (Lu et al. 2022b): exponential integrators for the clean latent, with half-log-SNR -ln sigma as time."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from diffusion.sampling.euler import add_noise, ancestral_step, euler_step
from diffusion.sampling.protocols import Denoise, GuidedDenoise, Noise, Report


def dpmpp_2m(denoise: Denoise, x: Tensor, sigmas: Sequence[float], *, report: Report) -> Tensor:
    """Second-order multistep (algorithm 2): the clean latent extrapolated to the middle of the step from this and the
    last evaluation; first order at the start and to zero."""
    last: Tensor | None = None
    for i in range(len(sigmas) - 1):
        denoised = denoise(x, sigmas[i])
        target = denoised
        if last is not None and sigmas[i + 1] > 0.0:
            weight = 0.5 * math.log(sigmas[i] / sigmas[i + 1]) / math.log(sigmas[i - 1] / sigmas[i])
            target = torch.lerp(denoised, last, -weight)
        x = euler_step(x, target, sigmas[i], sigmas[i + 1])
        last = denoised
        report(i, sigmas[i], denoised)
    return x


def dpmpp_2m_cfg_pp(denoise: GuidedDenoise, x: Tensor, sigmas: Sequence[float], *, report: Report) -> Tensor:
    """`dpmpp_2m` with CFG++: re-noised along the unconditional direction, and the second-order term taken against the
    last unconditional clean latent."""
    last: Tensor | None = None
    for i in range(len(sigmas) - 1):
        denoised, unconditional = denoise.with_unconditional(x, sigmas[i])
        ratio = sigmas[i + 1] / sigmas[i]
        x = torch.add(denoised, x - unconditional, alpha=ratio)
        if last is not None and sigmas[i + 1] > 0.0:
            weight = 0.5 * math.log(sigmas[i] / sigmas[i + 1]) / math.log(sigmas[i - 1] / sigmas[i])
            x = torch.add(x, denoised - last, alpha=(1 - ratio) * weight)
        last = unconditional
        report(i, sigmas[i], denoised)
    return x


def dpmpp_2s_ancestral(
    denoise: Denoise,
    x: Tensor,
    sigmas: Sequence[float],
    *,
    noise: Noise,
    report: Report,
    eta: float = 1.0,
    s_noise: float = 1.0,
) -> Tensor:
    """Second-order single steps (algorithm 1, r = 1/2) that go further down and add fresh noise back."""
    for i in range(len(sigmas) - 1):
        denoised = denoise(x, sigmas[i])
        down, up = ancestral_step(sigmas[i], sigmas[i + 1], eta)
        target = denoised
        if down > 0.0:
            middle = math.sqrt(sigmas[i] * down)
            target = denoise(euler_step(x, denoised, sigmas[i], middle), middle)
        x = euler_step(x, target, sigmas[i], down)
        x = add_noise(x, noise, sigmas[i], sigmas[i + 1], up * s_noise)
        report(i, sigmas[i], denoised)
    return x


def dpmpp_2s_ancestral_cfg_pp(
    denoise: GuidedDenoise,
    x: Tensor,
    sigmas: Sequence[float],
    *,
    noise: Noise,
    report: Report,
    eta: float = 1.0,
    s_noise: float = 1.0,
) -> Tensor:
    """`dpmpp_2s_ancestral` with CFG++: each half starts from x moved by its own guidance, D less the unconditional
    clean latent where that half evaluates the model."""
    for i in range(len(sigmas) - 1):
        denoised, unconditional = denoise.with_unconditional(x, sigmas[i])
        down, up = ancestral_step(sigmas[i], sigmas[i + 1], eta)
        moved = x + (denoised - unconditional)
        target = denoised
        if down > 0.0:
            middle = math.sqrt(sigmas[i] * down)
            halfway = euler_step(moved, denoised, sigmas[i], middle)
            target, unconditional = denoise.with_unconditional(halfway, middle)
            moved = x + (denoised - unconditional)
        x = euler_step(moved, target, sigmas[i], down)
        x = add_noise(x, noise, sigmas[i], sigmas[i + 1], up * s_noise)
        report(i, sigmas[i], denoised)
    return x
