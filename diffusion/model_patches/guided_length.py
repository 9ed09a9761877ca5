"""Guidance whose result is kept from growing, or whose negative is fitted to the positive first."""

from __future__ import annotations

import torch
from torch import Tensor

from diffusion.sampling.run_patches import RunPatch, Seen

_PICTURE = (1, 2, 3)
_TINY = 1e-8


class NormedCfg(RunPatch):
    """Brings the guided latent's length over the channels of each place back to the positive's where it is greater, and
    multiplies it by `strength`, also where there is no guidance."""

    def __init__(self, strength: float) -> None:
        self._strength = strength

    def after(self, guided: Tensor, seen: Seen) -> Tensor:
        wanted = torch.linalg.vector_norm(seen.positive, dim=1, keepdim=True)
        found = torch.linalg.vector_norm(guided, dim=1, keepdim=True)
        return guided * (wanted / (found + _TINY)).clamp(max=1.0) * self._strength


class RenormedCfg(RunPatch):
    """Guidance below the noise level `truncate`, and the positive alone from it on. The result's length over a whole
    picture is at most `renorm` times the positive's; at 0 it may be any (Qin et al. 2025, "Lumina-Image 2.0")."""

    def __init__(self, truncate: float, renorm: float) -> None:
        self._truncate = truncate
        self._renorm = renorm

    def mix(self, seen: Seen) -> Tensor | None:
        if seen.sigma >= self._truncate:
            return seen.positive
        guided = torch.lerp(seen.unconditional, seen.positive, seen.cfg)
        if self._renorm <= 0.0:
            return guided
        limit = torch.linalg.vector_norm(seen.positive, dim=_PICTURE, keepdim=True) * self._renorm
        length = torch.linalg.vector_norm(guided, dim=_PICTURE, keepdim=True)
        return torch.where(length > limit, guided * (limit / length), guided)


class ZeroStar(RunPatch):
    """CFG-Zero* (Fan et al. 2025, "CFG-Zero*: Improved Classifier-Free Guidance for Flow Matching Models"): guidance
    away from as much of the negative as fits the positive best.

    As in ComfyUI, how much that is comes from the noise of both predictions and is used on their clean latents, and
    the first steps are made like all others.
    """

    def after(self, guided: Tensor, seen: Seen) -> Tensor:
        if seen.negative is None:
            return guided
        noise = seen.x - seen.negative
        length = (noise * noise).sum(dim=_PICTURE, keepdim=True) + _TINY
        share = (noise * (seen.x - seen.positive)).sum(dim=_PICTURE, keepdim=True) / length
        return guided + seen.negative * (1.0 - share) * (seen.cfg - 1.0)


class Mahiro(RunPatch):
    """Guidance that is the more replaced by the positive, times the scale, the less the negative resembles the two
    together. How alike they are is the mean over the places of the whole batch, and compares square roots with their
    signs kept, as in ComfyUI, where this comes from."""

    def after(self, guided: Tensor, seen: Seen) -> Tensor:
        leap = seen.positive * seen.cfg
        away, both = _rooted(seen.unconditional * seen.cfg), _rooted((leap + guided) / 2)
        alike = torch.nn.functional.cosine_similarity(away, both, dim=1).mean()
        return torch.lerp(leap, guided, (alike + 1) / 2)


def _rooted(x: Tensor) -> Tensor:
    return x.abs().sqrt() * x.sign()
