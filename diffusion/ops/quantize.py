"""Pictures with few colours, by Pillow's palettes, with or without dithering."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from diffusion.errors import BadImage
from diffusion.images import to_pil

_FLOYD_STEINBERG = "floyd-steinberg"
_BAYER = "bayer-"


def quantize(image: Tensor, colours: int, dither: str) -> Tensor:
    """Reduce each picture to a palette of its own with `colours` colours (median cut); alpha stays as it is.

    `dither` is none, floyd-steinberg (error diffusion) or bayer-2, -4, -8, -16 (ordered, by a square of that side).
    Raises BadImage for pictures without three colour channels.
    """
    if image.shape[-1] < 3:
        raise BadImage(f"The picture has {image.shape[-1]} channels instead of red, green and blue.", input="image")
    reduced = torch.stack([_reduce(to_pil(each), colours, dither) for each in image[..., :3]])
    return torch.cat((reduced, image[..., 3:]), dim=-1)


def _reduce(picture: Image.Image, colours: int, dither: str) -> Tensor:
    palette = picture.quantize(colors=colours)
    method = Image.Dither.NONE
    if dither == _FLOYD_STEINBERG:
        method = Image.Dither.FLOYDSTEINBERG
    elif dither.startswith(_BAYER):
        picture = _ordered(picture, len(palette.getpalette() or ()) // 3, int(dither.removeprefix(_BAYER)))
    reduced = picture.quantize(palette=palette, dither=method).convert("RGB")
    return torch.from_numpy(np.array(reduced, dtype=np.float32) / 255.0)


def _ordered(picture: Image.Image, colours: int, side: int) -> Image.Image:
    """Brighten and darken by a repeated pattern, within 256 / `colours` levels either way, before rounding.

    All in float32, as in ComfyUI: sums that fall on a whole level are rounded down or not by their last digit.
    """
    levels = np.array(picture, dtype=np.float32)
    pattern = bayer(side).astype(np.float32) * np.float32(2 * 256 / colours) + np.float32(0.5)
    height, width, _ = levels.shape
    tiled = np.tile(pattern, (-(-height // side), -(-width // side)))[:height, :width, None]
    return Image.fromarray((levels + tiled).clip(0, 255).astype(np.uint8))


def bayer(side: int) -> np.ndarray:
    """The ordered-dither pattern of Bayer (1973) for a power of two: every value in −½..½ at equal steps, once each."""
    matrix = np.zeros((1, 1))
    while len(matrix) < side:
        matrix = np.block([[4 * matrix, 4 * matrix + 2], [4 * matrix + 3, 4 * matrix + 1]])
    return (matrix + 0.5) / matrix.size - 0.5
