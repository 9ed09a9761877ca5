"""Pictures blurred and sharpened with a Gaussian window."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from diffusion.errors import BadSize


def blur(image: Tensor, radius: int, sigma: float, *, input: str = "blur_radius") -> Tensor:
    """The mean of the pixels around each, weighted by a Gaussian; IMAGE [B, H, W, C].

    The window is 2·`radius` + 1 pixels square and spans −1 to 1 whatever its radius: `sigma` is in that unit, so
    sigma 1 at radius 10 is 10 pixels. At the edges the picture is mirrored. Raises BadSize when that is not possible.
    """
    count, height, width, channels = image.shape
    if radius >= min(height, width):
        raise BadSize(
            f"A radius of {radius} is too large for a picture of {width}×{height} pixels.",
            hint=f"Use at most {min(height, width) - 1}.",
            input=input,
        )
    place = torch.linspace(-1, 1, 2 * radius + 1)
    weights = torch.exp(-place.square() / (2 * sigma**2))
    weights = (weights / weights.sum()).to(image.dtype)
    planes = image.movedim(-1, 1).reshape(count * channels, 1, height, width)
    planes = conv2d(pad(planes, (radius, radius, 0, 0), mode="reflect"), weights.view(1, 1, 1, -1))
    planes = conv2d(pad(planes, (0, 0, radius, radius), mode="reflect"), weights.view(1, 1, -1, 1))
    return planes.reshape(count, channels, height, width).movedim(1, -1).contiguous()


def add_noise(image: Tensor, seed: int, strength: float) -> Tensor:
    """Add `strength` times Gaussian noise, drawn on the CPU from `seed`, and hold the result to 0..1."""
    noise = torch.randn(image.shape, generator=torch.Generator("cpu").manual_seed(seed))
    return (image + strength * noise).clamp(0, 1)


def sharpen(image: Tensor, radius: int, sigma: float, alpha: float) -> Tensor:
    """Add 10·`alpha` times what a blur takes away (unsharp masking), and hold the result to 0..1."""
    soft = blur(image, radius, sigma, input="sharpen_radius")
    return (image + 10 * alpha * (image - soft)).clamp(0, 1)
