"""Masks made, combined, grown and faded. MASK is float32 [B, H, W] in 0..1."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from diffusion.errors import BadImage
from diffusion.images import check_size
from diffusion.ops.batches import check_batches
from diffusion.ops.paste import check_corner, check_place

CHANNELS = ("red", "green", "blue", "alpha")


def from_channel(image: Tensor, channel: str) -> Tensor:
    """One channel of IMAGE [B, H, W, C] as a mask. Raises BadImage when the picture has no such channel."""
    index = CHANNELS.index(channel)
    if index >= image.shape[-1]:
        raise BadImage(
            f"The picture has {image.shape[-1]} channels, and so no {channel} one.",
            hint="Choose another channel; the transparency of a loaded picture is the MASK of its loader.",
            input="channel",
        )
    return image[..., index].clone()


def from_file(image: Tensor, transparent: Tensor, channel: str) -> Tensor:
    """The mask that a loaded picture holds in one channel: the first frame's, [1, H, W].

    `transparent` is the MASK that came with the picture, whose size differs where the file has no alpha: then the
    whole picture counts as opaque, and its alpha mask is 0.
    """
    if channel != "alpha":
        return from_channel(image[:1], channel)
    first = image[:1]
    return transparent[:1].clone() if transparent.shape[1:] == first.shape[1:3] else torch.zeros(first.shape[:3])


def to_image(mask: Tensor) -> Tensor:
    """A grey IMAGE [B, H, W, 3] of the mask."""
    return mask.reshape(-1, *mask.shape[-2:], 1).repeat(1, 1, 1, 3)


def from_colour(image: Tensor, colour: int) -> Tensor:
    """1 where a pixel, rounded to 8 bits, has exactly the colour 0xRRGGBB."""
    if image.shape[-1] < 3:
        raise BadImage(f"The picture has {image.shape[-1]} channels instead of red, green and blue.", input="image")
    wanted = torch.tensor([colour >> 16 & 255, colour >> 8 & 255, colour & 255])
    return ((image[..., :3].clamp(0, 1) * 255).round() == wanted).all(dim=-1).float()


def solid(value: float, width: int, height: int) -> Tensor:
    check_size(width, height)
    return torch.full((1, height, width), value)


def invert(mask: Tensor) -> Tensor:
    return 1.0 - mask


def crop(mask: Tensor, x: int, y: int, width: int, height: int) -> Tensor:
    """Cut out width×height pixels at (x, y), fewer where they stick out. Raises BadSize for a corner outside."""
    mask = mask.reshape(-1, *mask.shape[-2:])
    check_place(x, y, mask.shape[2], mask.shape[1])
    return mask[:, y : y + height, x : x + width].clone()


def _logical(operate: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda first, second: operate(first.round().bool(), second.round().bool()).float()


_OPERATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "multiply": torch.mul,
    "add": torch.add,
    "subtract": torch.sub,
    "and": _logical(torch.logical_and),
    "or": _logical(torch.logical_or),
    "xor": _logical(torch.logical_xor),
}


def composite(destination: Tensor, source: Tensor, x: int, y: int, operation: str) -> Tensor:
    """`destination` with (destination `operation` source) where the source at (x, y) covers it, all held to 0..1.

    and, or and xor take 0.5 and below as 0. Raises BadSize for a corner beyond the destination's edge.
    """
    destination = destination.reshape(-1, *destination.shape[-2:])
    source = source.reshape(-1, *source.shape[-2:])
    rows, columns = destination.shape[1:]
    check_corner(x, y, columns, rows)
    check_batches(destination.shape[0], source.shape[0], input="source", may_grow=False)
    height, width = min(source.shape[1], rows - y), min(source.shape[2], columns - x)
    result = destination.clone()
    covered = result[:, y : y + height, x : x + width]
    covered.copy_(_OPERATIONS[operation](covered, source[:, :height, :width]))
    return result.clamp(0, 1)


def feather(mask: Tensor, left: int, top: int, right: int, bottom: int) -> Tensor:
    """Fade a mask out over so many pixels from each side.

    From the left and the top, pixel i of n is multiplied by (i + 1) / n. From the right and the bottom the count starts
    at pixel 0 and goes on at the last one, so the outermost right column gets 2/n and the leftmost 1/n: an oddity of
    ComfyUI that is kept because the pixels depend on it.
    """
    result = mask.reshape(-1, *mask.shape[-2:])
    rows, columns = result.shape[1:]
    result = result * _fade_in(columns, left)
    result = result * _fade_in(columns, right)[-torch.arange(columns)]
    result = result * _fade_in(rows, top)[:, None]
    return result * _fade_in(rows, bottom)[-torch.arange(rows)][:, None]


def _fade_in(size: int, length: int) -> Tensor:
    weights = torch.ones(size)
    length = min(length, size)
    weights[:length] = ((torch.arange(length, dtype=torch.float64) + 1) / max(1, length)).float()
    return weights


def grow(mask: Tensor, pixels: int, *, tapered: bool) -> Tensor:
    """Grow the bright parts by so many pixels, or shrink them by −`pixels`.

    Each pixel takes the largest (smallest) value among itself and its 4 neighbours, over and over; among its 8
    neighbours when not `tapered`. Growth thus has the shape of a diamond, or of a square. Beyond the edge is nothing.
    """
    sign = 1.0 if pixels > 0 else -1.0
    current = mask.reshape(-1, *mask.shape[-2:]) * sign
    for _ in range(abs(pixels)):
        if tapered:
            across = max_pool2d(current, (1, 3), stride=1, padding=(0, 1))
            grown = torch.maximum(across, max_pool2d(current, (3, 1), stride=1, padding=(1, 0)))
        else:
            grown = max_pool2d(current, 3, stride=1, padding=1)
        if torch.equal(grown, current):
            break
        current = grown
    return current * sign


def threshold(mask: Tensor, value: float) -> Tensor:
    """1 where the mask is above `value`, else 0."""
    return (mask > value).float()
