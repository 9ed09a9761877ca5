"""The guided prediction's noise made smaller or larger, against the errors that add up over a run."""

from __future__ import annotations

import torch
from torch import Tensor

from diffusion.sampling.run_patches import RunPatch, Seen


class EpsilonScaling(RunPatch):
    """Epsilon scaling (Ning et al. 2023, "Elucidating the Exposure Bias in Diffusion Models"): the predicted noise
    divided by a factor, the same in every step."""

    def __init__(self, factor: float) -> None:
        self._factor = factor

    def after(self, guided: Tensor, seen: Seen) -> Tensor:
        return torch.lerp(seen.x, guided, 1.0 / self._factor)
