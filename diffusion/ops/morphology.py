"""Grey morphology with a square window (Serra 1982): what is brightest or darkest around each pixel, and what follows
from it. IMAGE [B, H, W, C]; each channel is treated by itself."""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn.functional import max_pool2d, pad


def dilate(image: Tensor, side: int) -> Tensor:
    """The largest value in a window of `side`×`side` pixels around each, as far as it lies in the picture.

    An even window reaches one pixel further to the left and up than to the right and down.
    """
    before, after = side // 2, side - side // 2 - 1
    planes = image.movedim(-1, 1)
    planes = max_pool2d(pad(planes, (before, after, 0, 0), value=-math.inf), (1, side), stride=1)
    planes = max_pool2d(pad(planes, (0, 0, before, after), value=-math.inf), (side, 1), stride=1)
    return planes.movedim(1, -1).contiguous()


def erode(image: Tensor, side: int) -> Tensor:
    """The smallest value in such a window."""
    return -dilate(-image, side)


def change(image: Tensor, operation: str, side: int) -> Tensor:
    """One of the operations: erode, dilate, open, close, gradient, bottom_hat or top_hat."""
    match operation:
        case "erode":
            return erode(image, side)
        case "dilate":
            return dilate(image, side)
        case "open":
            return dilate(erode(image, side), side)
        case "close":
            return erode(dilate(image, side), side)
        case "gradient":
            return dilate(image, side) - erode(image, side)
        case "bottom_hat":
            return erode(dilate(image, side), side) - image
        case "top_hat":
            return image - dilate(erode(image, side), side)
        case _:
            raise ValueError(f"there is no operation {operation!r}")
