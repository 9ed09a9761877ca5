"""Many pictures laid out as one."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from diffusion.errors import BadSize
from diffusion.images import MAX_PIXELS


def grid(images: Tensor, per_row: int, padding: int) -> Tensor:
    """Pictures `[B,H,W,C]` as one `[1,h,w,C]`, row by row, with `padding` black pixels around each; places left over
    are black. `per_row` 0 makes it about square."""
    count, height, width, channels = images.shape
    columns = min(per_row, count) if per_row > 0 else math.ceil(math.sqrt(count))
    rows = -(-count // columns)
    size = (rows * (height + padding) + padding, columns * (width + padding) + padding)
    if size[0] * size[1] > MAX_PIXELS:
        raise BadSize(f"The grid would have {size[1]}×{size[0]} pixels.", input="images", hint="Use fewer pictures.")
    sheet = torch.zeros(1, *size, channels, dtype=images.dtype)
    for i in range(count):
        top = (i // columns) * (height + padding) + padding
        left = (i % columns) * (width + padding) + padding
        sheet[0, top : top + height, left : left + width] = images[i]
    return sheet
