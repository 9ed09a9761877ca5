"""Quick looks at a picture in the making: a linear map from latent to RGB, far cheaper than decoding.

A checkpoint may carry the map that was fitted for it, as metadata `latent_rgb`: JSON
`{"factors": [[r, g, b] per latent channel], "bias": [r, g, b]}`, from the U-Net's latents to −1..1.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from PIL import Image
from torch import Tensor

from diffusion.architecture import XL_LATENT_SCALE

MAX_SIDE = 512
_CELL = 8


@dataclass(frozen=True, slots=True)
class LatentRgb:
    """The map: rgb = latent · factors + bias, with one row of factors per latent channel."""

    factors: tuple[tuple[float, float, float], ...]
    bias: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Preview:
    """A small JPEG."""

    jpeg: bytes
    width: int
    height: int


SD1_LATENT_RGB = LatentRgb(
    ((0.298, 0.207, 0.208), (0.187, 0.286, 0.173), (-0.158, 0.189, 0.264), (-0.184, -0.271, -0.473)),
    (0.0, 0.0, 0.0),
)
"""Fitted to Stable Diffusion 1.4 by keturn, "Decoding latents to RGB without upscaling" (Hugging Face forum, 2022)."""

SDXL_LATENT_RGB = LatentRgb(
    (
        (60 / 127.5, 60 / 127.5, 60 / 127.5),
        (-60 / 127.5, -5 / 127.5, 10 / 127.5),
        (25 / 127.5, 15 / 127.5, -5 / 127.5),
        (-70 / 127.5, -50 / 127.5, -35 / 127.5),
    ),
    (150 / 127.5 - 1, 140 / 127.5 - 1, 130 / 127.5 - 1),
)
"""Stated in levels of 0 to 255 by T. A. Vass, "Explaining the SDXL latent space" (Hugging Face, 2023)."""


def latent_rgb(metadata: Mapping[str, str], channels: int, latent_scale: float) -> LatentRgb:
    """The map that a checkpoint's metadata give, or when they give none that fits, that of its family's autoencoder,
    which the scale of its latents tells."""
    known = SDXL_LATENT_RGB if latent_scale == XL_LATENT_SCALE else SD1_LATENT_RGB
    try:
        data = cast("Mapping[str, Any]", json.loads(metadata["latent_rgb"]))
        factors = tuple(_triple(row) for row in data["factors"])
        bias = _triple(data["bias"])
    except (KeyError, TypeError, ValueError):  # a preview is a courtesy: a bad map must not stop the load
        return known
    return LatentRgb(factors, bias) if len(factors) == channels else known


def preview_jpeg(denoised: Tensor, rgb: LatentRgb = SD1_LATENT_RGB, *, quality: int = 80) -> Preview:
    """A JPEG of the first item of `denoised` [B, C, h, w] (the U-Net's scale), 8 pixels a cell, at most 512 a side."""
    latent = denoised[0].detach().float().cpu()
    factors = torch.tensor(rgb.factors, dtype=torch.float32)
    channels = min(len(factors), latent.shape[0])
    picture = torch.einsum("chw,cr->hwr", latent[:channels], factors[:channels]) + torch.tensor(rgb.bias)
    pixels = ((picture + 1) * 127.5).nan_to_num().clamp(0, 255).to(torch.uint8)
    small = Image.fromarray(pixels.numpy())
    scale = min(_CELL, MAX_SIDE / max(small.size))
    size = (max(1, round(small.width * scale)), max(1, round(small.height * scale)))
    buffer = io.BytesIO()
    small.resize(size, Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=quality)
    return Preview(buffer.getvalue(), *size)


def _triple(row: Any) -> tuple[float, float, float]:
    red, green, blue = (float(each) for each in row)
    if not all(map(math.isfinite, (red, green, blue))):
        raise ValueError("not finite")
    return red, green, blue
