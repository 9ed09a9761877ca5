"""The edges of a picture, by J. Canny, "A Computational Approach to Edge Detection" (1986), with kornia's constants."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.ndimage import binary_propagation
from torch import Tensor
from torch.nn.functional import conv2d, pad

from diffusion.errors import BadSize, DiffusionError

_LUMINANCE = (0.299, 0.587, 0.114)
_SOBEL = ((-1.0, 0.0, 1.0), (-2.0, 0.0, 2.0), (-1.0, 0.0, 1.0))
_EPSILON = 1e-6
# (row, column) of the neighbour that lies at 0°, 45° … 315°, with rows counted downwards.
_NEIGHBOURS = ((0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1))


def canny(image: Tensor, low: float, high: float) -> Tensor:
    """IMAGE [B, H, W, C] → IMAGE [B, H, W, 3], white on edges and black elsewhere. Alpha is left out.

    An edge is where brightness changes by more than `high`, and whatever is joined to that and changes by more than
    `low`: the thresholds are in units of the Sobel gradient of brightness 0..1, after a blur of σ = 1 pixel. Raises
    BadSize for a picture below 3×3 pixels.
    """
    if low > high:
        raise DiffusionError(
            f"The low threshold {low} is above the high threshold {high}.",
            hint="Swap them.",
            input="low_threshold",
            code="bad_threshold",
        )
    if min(image.shape[1:3]) < 3:
        raise BadSize("The picture is smaller than 3×3 pixels.", hint="Use a larger one.", input="image")
    strength, angle = _gradient(_blurred(_grey(image)))
    thin = strength * _is_ridge(strength, angle)
    edges = _joined(thin > high, thin > low)
    return edges.float().movedim(1, -1).repeat(1, 1, 1, 3)


def _grey(image: Tensor) -> Tensor:
    planes = image.movedim(-1, 1)
    if planes.shape[1] < 3:
        return planes[:, :1]
    red, green, blue = (weight * planes[:, i : i + 1] for i, weight in enumerate(_LUMINANCE))
    return red + green + blue


def _blurred(grey: Tensor) -> Tensor:
    place = torch.arange(5, dtype=grey.dtype) - 2
    weights = torch.exp(-place.square() / 2)
    weights = weights / weights.sum()
    grey = conv2d(pad(grey, (2, 2, 0, 0), mode="reflect"), weights.view(1, 1, 1, 5))
    return conv2d(pad(grey, (0, 0, 2, 2), mode="reflect"), weights.view(1, 1, 5, 1))


def _gradient(grey: Tensor) -> tuple[Tensor, Tensor]:
    """Strength, and direction in eighths of a full turn (0 to 7, 0 is to the right, 2 is down)."""
    across = torch.tensor(_SOBEL, dtype=grey.dtype)
    slopes = conv2d(pad(grey, (1, 1, 1, 1), mode="replicate"), torch.stack((across, across.T))[:, None])
    x, y = slopes[:, :1], slopes[:, 1:]
    strength = torch.sqrt(x * x + y * y + _EPSILON)
    eighths = torch.round(torch.atan2(y, x) * (4 / math.pi)).long() % 8
    return strength, eighths


def _is_ridge(strength: Tensor, eighths: Tensor) -> Tensor:
    """Where a pixel is stronger than both its neighbours along the gradient; beyond the edge the strength is 0."""
    height, width = strength.shape[-2:]
    padded = pad(strength, (1, 1, 1, 1))
    neighbours = torch.cat([padded[..., 1 + r : 1 + r + height, 1 + c : 1 + c + width] for r, c in _NEIGHBOURS], dim=1)
    ahead, behind = neighbours.gather(1, eighths), neighbours.gather(1, (eighths + 4) % 8)
    return strength > torch.maximum(ahead, behind)


def _joined(strong: Tensor, weak: Tensor) -> Tensor:
    """The strong pixels, and the weak ones that a chain of weak neighbours (of 8) joins to a strong one."""
    neighbourhood = np.ones((1, 1, 3, 3))
    return torch.from_numpy(binary_propagation(strong.numpy(), structure=neighbourhood, mask=weak.numpy()))
