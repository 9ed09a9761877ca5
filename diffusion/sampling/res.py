"""Refined exponential solver, and gradient estimation: one evaluation a step, corrected by the one before."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from diffusion.sampling.euler import add_noise, ancestral_step, euler_step
from diffusion.sampling.protocols import Denoise, GuidedDenoise, Noise, Report


def res_multistep(
    denoise: Denoise,
    x: Tensor,
    sigmas: Sequence[float],
    *,
    report: Report,
    noise: Noise | None = None,
    eta: float = 0.0,
    s_noise: float = 1.0,
) -> Tensor:
    """Second-order multistep RES (Zhang et al. 2023), ancestral with `eta` above 0 (which needs `noise`)."""
    last: Tensor | None = None
    last_down = sigmas[0]
    for i in range(len(sigmas) - 1):
        denoised = denoise(x, sigmas[i])
        down, up = ancestral_step(sigmas[i], sigmas[i + 1], eta)
        if last is None or down == 0.0 or last_down == 0.0:
            x = euler_step(x, denoised, sigmas[i], down)
        else:
            x = _second_order(x, denoised, last, sigmas[i - 1 : i + 1], last_down, down)
        x = add_noise(x, noise, sigmas[i], sigmas[i + 1], up * s_noise)
        last, last_down = denoised, down
        report(i, sigmas[i], denoised)
    return x


def res_multistep_cfg_pp(
    denoise: GuidedDenoise,
    x: Tensor,
    sigmas: Sequence[float],
    *,
    report: Report,
    noise: Noise | None = None,
    eta: float = 0.0,
    s_noise: float = 1.0,
) -> Tensor:
    """`res_multistep` with CFG++: steps start from x moved by the guidance, and the second-order term is taken against
    the last unconditional clean latent."""
    last: Tensor | None = None
    last_down = sigmas[0]
    for i in range(len(sigmas) - 1):
        denoised, unconditional = denoise.with_unconditional(x, sigmas[i])
        down, up = ancestral_step(sigmas[i], sigmas[i + 1], eta)
        if last is None or down == 0.0 or last_down == 0.0:
            x = torch.add(denoised, x - unconditional, alpha=down / sigmas[i])
        else:
            moved = x + (denoised - unconditional)
            x = _second_order(moved, unconditional, last, sigmas[i - 1 : i + 1], last_down, down)
        x = add_noise(x, noise, sigmas[i], sigmas[i + 1], up * s_noise)
        last, last_down = unconditional, down
        report(i, sigmas[i], denoised)
    return x


def _second_order(
    x: Tensor, denoised: Tensor, last: Tensor, levels: Sequence[float], last_down: float, down: float
) -> Tensor:
    """One step from `levels[1]` to `down`, given the clean latent `last` of `levels[0]`, whose step ended at
    `last_down` before its noise was added."""
    h = math.log(levels[1] / down)
    c2 = math.log(last_down / levels[0]) / h
    phi_1 = -math.expm1(-h) / h
    phi_2 = (1 - phi_1) / h
    b2 = phi_2 / c2
    x = torch.add(x * math.exp(-h), denoised, alpha=h * (phi_1 - b2))
    return torch.add(x, last, alpha=h * b2)


def gradient_estimation(
    denoise: Denoise, x: Tensor, sigmas: Sequence[float], *, report: Report, gamma: float = 2.0
) -> Tensor:
    """Permenter and Yuan 2024: the noise estimate is gamma times this one less (gamma - 1) times the last."""
    last: Tensor | None = None
    for i in range(len(sigmas) - 1):
        denoised = denoise(x, sigmas[i])
        if sigmas[i + 1] > 0.0:
            slope = (x - denoised) / sigmas[i]
            estimate = slope if last is None else torch.lerp(last, slope, gamma)
            x = torch.add(x, estimate, alpha=sigmas[i + 1] - sigmas[i])
            last = slope
        else:
            x = denoised
        report(i, sigmas[i], denoised)
    return x


def gradient_estimation_cfg_pp(
    denoise: GuidedDenoise, x: Tensor, sigmas: Sequence[float], *, report: Report, gamma: float = 2.0
) -> Tensor:
    """`gradient_estimation` with CFG++: the unconditional noise estimate, from the guided clean latent."""
    last: Tensor | None = None
    for i in range(len(sigmas) - 1):
        denoised, unconditional = denoise.with_unconditional(x, sigmas[i])
        x_next = denoised
        if sigmas[i + 1] > 0.0:
            slope = (x - unconditional) / sigmas[i]
            x_next = torch.add(denoised, slope, alpha=sigmas[i + 1])
            if last is not None:
                x_next = torch.add(x_next, slope - last, alpha=(gamma - 1) * (sigmas[i + 1] - sigmas[i]))
            last = slope
        x = x_next
        report(i, sigmas[i], denoised)
    return x
