"""Perp-Neg (Armandpour et al. 2023) as a change to a model, for any guider with a positive and a negative prompt."""

from __future__ import annotations

from torch import Tensor

from diffusion.sampling.perp_neg import perpendicular
from diffusion.sampling.run_patches import RunPatch, Seen
from diffusion.values import Conditioning

_EMPTY = "model"
"""The prompt's name is also the input that a complaint about it is for: it comes with the model."""


class PerpNeg(RunPatch):
    """Mixes by Perp-Neg, with an empty prompt that it brings along. Without a negative, zeros stand for it, as in
    ComfyUI."""

    def __init__(self, empty: Conditioning, neg_scale: float) -> None:
        self.prompts = {_EMPTY: empty}
        self._neg_scale = neg_scale

    def mix(self, seen: Seen) -> Tensor | None:
        empty = seen.ask(seen.x, _EMPTY, ())
        return perpendicular(seen.positive, seen.unconditional, empty, seen.cfg, self._neg_scale)
