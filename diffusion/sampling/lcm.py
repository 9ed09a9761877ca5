"""Sampling of consistency models, which predict the clean latent in one evaluation from any level."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from diffusion.sampling.protocols import Denoise, Noise, Report


def lcm(
    denoise: Denoise, x: Tensor, sigmas: Sequence[float], *, noise: Noise, report: Report, s_noise: float = 1.0
) -> Tensor:
    """Multistep consistency sampling (Song et al. 2023, algorithm 1; Luo et al. 2023): predict the clean latent, noise
    it afresh to the next level."""
    for i in range(len(sigmas) - 1):
        denoised = denoise(x, sigmas[i])
        x = denoised
        if sigmas[i + 1] > 0.0:
            x = torch.add(x, noise(sigmas[i], sigmas[i + 1]), alpha=sigmas[i + 1] * s_noise)
        report(i, sigmas[i], denoised)
    return x


def lcm_upscale(
    denoise: Denoise,
    x: Tensor,
    sigmas: Sequence[float],
    *,
    noise: Callable[[Tensor], Tensor],
    report: Report,
    resize: Callable[[Tensor, int, int], Tensor],
    scale_ratio: float = 1.0,
    scale_steps: int = -1,
) -> Tensor:
    """`lcm` that enlarges the clean latent in even stages, to `scale_ratio` times its size after `scale_steps` steps
    (about half of them when negative). `resize` takes a latent, a width and a height; `noise` draws in the shape of a
    latent."""
    stages = max(len(sigmas) // 2, 1) if scale_steps < 0 else min(scale_steps, len(sigmas))
    height, width = x.shape[-2:]
    for i in range(len(sigmas) - 1):
        denoised = denoise(x, sigmas[i])
        x = denoised
        if i < stages:
            factor = 1.0 + (scale_ratio - 1.0) * (i + 1) / stages
            x = resize(x, round(width * factor), round(height * factor))
        if sigmas[i + 1] > 0.0:
            x = torch.add(x, noise(x), alpha=sigmas[i + 1])
        report(i, sigmas[i], denoised)
    return x
