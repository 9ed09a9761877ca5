"""Guidance rescaled (Lin et al. 2023, "Common Diffusion Noise Schedules and Sample Steps are Flawed", section 3.4)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from diffusion.sampling.run_patches import RunPatch, Seen


class RescaleCfg(RunPatch):
    """Brings the standard deviation of the guided velocity back to that of the positive one. Without a negative, they
    are the same."""

    def __init__(self, multiplier: float) -> None:
        self._multiplier = multiplier

    def mix(self, seen: Seen) -> Tensor | None:
        if seen.negative is None:
            return seen.positive
        spread = math.sqrt(seen.sigma**2 + 1)
        centre = seen.x / spread**2

        def velocity(denoised: Tensor) -> Tensor:
            return (centre - denoised) * (spread / seen.sigma)

        positive = velocity(seen.positive)
        guided = torch.lerp(velocity(seen.negative), positive, seen.cfg)
        axes = tuple(range(1, guided.dim()))
        ratio = positive.std(axes, keepdim=True) / guided.std(axes, keepdim=True)
        rescaled = torch.lerp(guided, guided * ratio, self._multiplier)
        return torch.add(centre, rescaled, alpha=-seen.sigma / spread)
