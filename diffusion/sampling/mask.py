"""Sampling inside a mask only: what lies outside is held to the original latent at every model call."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from diffusion.errors import DiffusionError
from diffusion.ops.batches import repeat_to
from diffusion.sampling.protocols import GuidedDenoise
from diffusion.sampling.run_patches import RunPatch


def fit_mask(mask: Tensor, shape: torch.Size) -> Tensor:
    """A mask `[H,W]`, `[B,H,W]` or `[B,1,H,W]` as `[B,1,h,w]` for latents of `shape`: resized bilinearly, and repeated
    or cut to the batch."""
    return repeat_to(scaled_mask(mask, shape), shape[0])


def scaled_mask(mask: Tensor, shape: torch.Size) -> Tensor:
    """A mask `[H,W]`, `[B,H,W]` or `[B,1,H,W]` as `[B,1,h,w]` for latents of `shape`, resized bilinearly."""
    mask = mask.detach().float().reshape(-1, 1, *mask.shape[-2:])
    if mask.shape[-2:] == shape[-2:]:
        return mask
    return torch.nn.functional.interpolate(mask, size=tuple(shape[-2:]), mode="bilinear")


class MaskedDenoise:
    """A `GuidedDenoise` that sees the original latent, noised to the present sigma, where the mask is 0, and gives it
    back there. `mask` is 1 where to sample; partial values mix."""

    def __init__(
        self,
        inner: GuidedDenoise,
        mask: Tensor,
        original: Tensor,
        noise: Tensor,
        patches: Sequence[RunPatch] = (),
    ) -> None:
        self._inner = inner
        self._mask = mask
        self._original = original
        self._noise = noise
        self._patches = tuple(patches)

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        mask = self._mask_at(x, sigma)
        return self._restore(self._inner(self._hold(x, sigma, mask), sigma), mask)

    def with_unconditional(self, x: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
        mask = self._mask_at(x, sigma)
        denoised, unconditional = self._inner.with_unconditional(self._hold(x, sigma, mask), sigma)
        return self._restore(denoised, mask), unconditional

    def _mask_at(self, x: Tensor, sigma: float) -> Tensor:
        if x.shape != self._original.shape:
            raise DiffusionError(
                "This sampler changes the size of the latent, which a noise mask can't follow.",
                input="sampler",
                code="bad_sampler",
            )
        mask = self._mask
        for patch in self._patches:
            mask = patch.mask(mask, sigma)
        return mask

    def _hold(self, x: Tensor, sigma: float, mask: Tensor) -> Tensor:
        return torch.lerp(torch.add(self._original, self._noise, alpha=sigma), x, mask)

    def _restore(self, denoised: Tensor, mask: Tensor) -> Tensor:
        return torch.lerp(self._original, denoised, mask)
