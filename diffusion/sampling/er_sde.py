"""ER-SDE-Solver (Cui et al. 2023): an extended reverse-time SDE whose noise is set by a scale function of sigma."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from diffusion.sampling.protocols import Denoise, Noise, Report

POINTS = 200
"""Points of the rectangle rule for the integrals. The rule is coarse enough to show in the result, so its number is
part of what a seed means; it agrees with the reference recordings."""


def noise_scale(sigma: np.ndarray | float) -> np.ndarray:
    """sigma (e^(sigma^0.3) + 10), as the reference recordings have it. An ODE would be sigma, an SDE sigma²."""
    return np.asarray(sigma * (np.exp(np.power(sigma, 0.3)) + 10.0))


def er_sde(
    denoise: Denoise,
    x: Tensor,
    sigmas: Sequence[float],
    *,
    noise: Noise,
    report: Report,
    s_noise: float = 1.0,
    max_stage: int = 3,
    scale: Callable[[np.ndarray | float], np.ndarray] = noise_scale,
) -> Tensor:
    """VE ER-SDE-Solver-3: a Taylor expansion of the clean latent, whose order rises from 1 to `max_stage`."""
    history: list[tuple[Tensor, Tensor | None]] = []
    for i in range(len(sigmas) - 1):
        sigma, sigma_next = sigmas[i], sigmas[i + 1]
        denoised = denoise(x, sigma)
        slope: Tensor | None = None
        if sigma_next == 0.0:
            x = denoised
        else:
            scale_next = float(scale(sigma_next))
            keep = scale_next / float(scale(sigma))
            x = torch.lerp(denoised, x, keep)
            step = sigma_next - sigma
            width = -step / POINTS
            points = sigma_next + width * np.arange(POINTS)
            if history and max_stage >= 2:
                before, slope_before = history[-1]
                slope = (denoised - before) / (sigma - sigmas[i - 1])
                integral = float(np.sum(1 / scale(points)) * width)
                x = torch.add(x, slope, alpha=step + integral * scale_next)
                if slope_before is not None and max_stage >= 3:
                    bend = (slope - slope_before) / ((sigma - sigmas[i - 2]) / 2)
                    integral = float(np.sum((points - sigma) / scale(points)) * width)
                    x = torch.add(x, bend, alpha=step**2 / 2 + integral * scale_next)
            amount = s_noise * math.sqrt(max(0.0, sigma_next**2 - (sigma * keep) ** 2))
            if amount > 0.0:
                x = torch.add(x, noise(sigma, sigma_next), alpha=amount)
        history = [(denoised, slope)]
        report(i, sigma, denoised)
    return x
