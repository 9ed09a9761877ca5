"""A latent operation within the sampling, on what guidance is made of."""

from __future__ import annotations

from torch import Tensor

from diffusion.ops.latent_operations import apply
from diffusion.sampling.run_patches import RunPatch, Seen
from diffusion.values import LatentOperation


class ChangedGuidance(RunPatch):
    """Changes what the positive prediction adds to the negative one, or all of it where there is no negative."""

    def __init__(self, operation: LatentOperation) -> None:
        self._operation = operation

    def before(self, seen: Seen) -> Tensor:
        if seen.negative is None:
            return apply(seen.positive, self._operation)
        return apply(seen.positive - seen.negative, self._operation) + seen.negative
