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


def latent_rgb(metadata: Mapping[str, str], channels: int) -> LatentRgb:
    """The map that a checkpoint's metadata give, or that of Stable Diffusion 1 when they give none that fits."""
    try:
        data = cast("Mapping[str, Any]", json.loads(metadata["latent_rgb"]))
        factors = tuple(_triple(row) for row in data["factors"])
        bias = _triple(data["bias"])
    except (KeyError, TypeError, ValueError):  # a preview is a courtesy: a bad map must not stop the load
        return SD1_LATENT_RGB
    return LatentRgb(factors, bias) if len(factors) == channels else SD1_LATENT_RGB


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
