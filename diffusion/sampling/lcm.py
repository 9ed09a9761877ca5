"""Sampling of consistency models, which predict the clean latent in one evaluation from any level."""

from __future__ import annotations

from collections.abc import Sequence

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
