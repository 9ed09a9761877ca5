"""Changes to latents that are chosen in one node and applied in another, to a latent or within the sampling.

Both take a cell's vector of channels apart into its length, which stands for brightness and contrast, and its
direction.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from diffusion.errors import BadLatent, BadSize
from diffusion.values import LatentOperation, SharpenRule, TonemapRule


def apply(samples: Tensor, operation: LatentOperation) -> Tensor:
    """`samples` [B, C, h, w] on any device, changed. Raises BadLatent for latents that are not of pictures, and BadSize
    when a window does not fit them."""
    if samples.ndim != 4:
        raise BadLatent(f"A latent of the shape {list(samples.shape)} is no latent of pictures.", input="samples")
    match operation.rule:
        case TonemapRule(multiplier):
            return _tonemapped(samples, multiplier)
        case SharpenRule(radius, sigma, alpha):
            return _sharpened(samples, radius, sigma, alpha)


def _tonemapped(samples: Tensor, multiplier: float) -> Tensor:
    """Lengths compressed by Reinhard's operator (Reinhard et al. 2002), x / (1 + x), in units of `multiplier` times
    five standard deviations above their mean in each item."""
    lengths = _lengths(samples, 1e-10)
    axes = (1, 2, 3)
    top = (lengths.std(axes, keepdim=True) * 5 + lengths.mean(axes, keepdim=True)) * multiplier
    relative = lengths * (1 / top)
    return samples / lengths * (relative / (relative + 1) * top)


def _sharpened(samples: Tensor, radius: int, sigma: float, alpha: float) -> Tensor:
    """Directions sharpened by 10·`alpha` times what a Gaussian takes away, in a window of 2·`radius` + 1 cells that
    spans −1 to 1. Lengths stay as they are."""
    rows, columns = samples.shape[-2:]
    if radius >= min(rows, columns):
        raise BadSize(
            f"A radius of {radius} is too large for a latent of {columns}×{rows} cells.",
            hint=f"Use at most {min(rows, columns) - 1}.",
            input="operation",
        )
    lengths = _lengths(samples, 1e-6)
    place = torch.linspace(-1, 1, 2 * radius + 1, device=samples.device)
    weights = torch.exp(-(place[:, None].square() + place.square()) / (2 * sigma**2))
    weights = weights / weights.sum() * (-10 * alpha)
    weights[radius, radius] += 1 - weights.sum()
    channels = samples.shape[1]
    mirrored = pad(samples / lengths, (radius,) * 4, mode="reflect")
    return lengths * conv2d(mirrored, weights.repeat(channels, 1, 1, 1), groups=channels)


def _lengths(samples: Tensor, least: float) -> Tensor:
    return torch.linalg.vector_norm(samples, dim=1, keepdim=True) + least
