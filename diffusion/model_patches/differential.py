"""Differential diffusion (Levin and Fried 2023): a grey mask says how much each place may change."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from diffusion.sampling.discrete import DiscreteSchedule
from diffusion.sampling.run_patches import RunPatch


class Differential(RunPatch):
    """At each level, places whose mask is at least the part of the run still to go are sampled, and others held. A run
    within one timestep samples nothing: as in ComfyUI, where 0 / 0 is no part."""

    def __init__(self, levels: DiscreteSchedule, sigmas: Sequence[float], strength: float) -> None:
        self._levels = levels
        self._first = levels.timestep(sigmas[0])
        self._last = levels.timestep(max(sigmas[-1], levels.sigma_min))
        self._strength = strength or 1.0

    def mask(self, mask: Tensor, sigma: float) -> Tensor:
        whole = self._first - self._last
        left = (self._levels.timestep(sigma) - self._last) / whole if whole else math.nan
        return torch.lerp(mask, (mask >= left).to(mask.dtype), self._strength)
