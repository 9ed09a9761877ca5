"""A latent operation within the sampling, on what guidance is made of."""

from __future__ import annotations

from dataclasses import replace

from diffusion.ops.latent_operations import apply
from diffusion.sampling.run_patches import RunPatch, Seen
from diffusion.values import LatentOperation


class ChangedGuidance(RunPatch):
    """Changes what the positive prediction adds to the negative one, or all of it where there is no negative. With
    Perp-Neg, too, it changes all of it, as in ComfyUI."""

    def __init__(self, operation: LatentOperation) -> None:
        self._operation = operation

    def before(self, seen: Seen) -> Seen:
        if seen.negative is None or seen.empty is not None:
            return replace(seen, positive=apply(seen.positive, self._operation))
        changed = apply(seen.positive - seen.negative, self._operation) + seen.negative
        return replace(seen, positive=changed)
