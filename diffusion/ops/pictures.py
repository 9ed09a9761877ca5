"""Pictures made, batched, cut, padded and pasted. IMAGE is float32 [B, H, W, C] in 0..1, with 3 channels or 4."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from diffusion.errors import BadSize
from diffusion.images import MAX_PIXELS, check_size, resize
from diffusion.ops.batches import item_range
from diffusion.ops.paste import paste

MAX_BATCH_PIXELS = 4 * MAX_PIXELS
"""The most pixels that all pictures of a batch made here may have together."""

_GREY = 0.5


def scale_to_megapixels(image: Tensor, megapixels: float, method: str) -> Tensor:
    """Scale to about `megapixels` × 1024 × 1024 pixels in the same proportions."""
    height, width = image.shape[1:3]
    factor = math.sqrt(int(megapixels * 1024 * 1024) / (width * height))
    return resize(image, max(1, round(width * factor)), max(1, round(height * factor)), method)


def invert(image: Tensor) -> Tensor:
    return 1.0 - image


def empty(width: int, height: int, batch_size: int, colour: int) -> Tensor:
    """Pictures of one colour, 0xRRGGBB."""
    check_size(width, height)
    _check_total(batch_size, width, height, input="batch_size")
    channels = torch.tensor([colour >> 16 & 255, colour >> 8 & 255, colour & 255]) / 255
    return channels.repeat(batch_size, height, width, 1)


def join(first: Tensor, second: Tensor) -> Tensor:
    """Both batches in one; the second is cropped and scaled (bilinear) to the first. A missing alpha is 1."""
    channels = max(first.shape[-1], second.shape[-1])
    first, second = _with_channels(first, channels), _with_channels(second, channels)
    return torch.cat((first, _fit(second, first, "bilinear")))


def rebatch(images: Sequence[Tensor], size: int) -> list[Tensor]:
    """The pictures of several batches, in order, in batches of `size`; one that is left over is smaller. A batch ends
    where the size of the pictures changes."""
    found: list[Tensor] = []
    run: list[Tensor] = []
    for images_of_one in images:
        if run and run[-1].shape[1:] != images_of_one.shape[1:]:
            found += torch.cat(run).split(size)
            run = []
        run.append(images_of_one)
    return found + list(torch.cat(run).split(size) if run else ())


def from_batch(image: Tensor, first: int, length: int) -> Tensor:
    """`length` pictures from number `first` on, or as many as there are."""
    return image[item_range(image.shape[0], first, length)].clone()


def repeat(image: Tensor, amount: int) -> Tensor:
    """The batch `amount` times over."""
    _check_total(image.shape[0] * amount, image.shape[2], image.shape[1], input="amount")
    return image.repeat(amount, 1, 1, 1)


def crop(image: Tensor, width: int, height: int, x: int, y: int) -> Tensor:
    """Cut out width×height pixels at (x, y), fewer where they stick out. A corner outside becomes the last pixel."""
    x, y = min(x, image.shape[2] - 1), min(y, image.shape[1] - 1)
    return image[:, y : y + height, x : x + width].clone()


def pad_for_outpaint(
    image: Tensor, left: int, top: int, right: int, bottom: int, feathering: int
) -> tuple[Tensor, Tensor]:
    """Grey borders around pictures, and the mask [1, H, W] of what to draw: 1 on the borders.

    Inside, the mask falls from 1 to 0 over `feathering` pixels from each border, as the square of the distance left.
    There is no such fade when it would reach half the picture's width or height.
    """
    count, rows, columns, channels = image.shape
    height, width = top + rows + bottom, left + columns + right
    check_size(width, height)
    inside = (slice(top, top + rows), slice(left, left + columns))
    padded = torch.full((count, height, width, channels), _GREY)
    padded[:, inside[0], inside[1]] = image
    mask = torch.ones(1, height, width)
    mask[:, inside[0], inside[1]] = 0
    if 0 < feathering < min(rows, columns) / 2:
        down = _distance(rows, before=top > 0, after=bottom > 0)
        across = _distance(columns, before=left > 0, after=right > 0)
        nearest = torch.minimum(down[:, None], across[None, :])
        mask[:, inside[0], inside[1]] = ((feathering - nearest).clamp(min=0) / feathering).square().float()
    return padded, mask


def _distance(size: int, *, before: bool, after: bool) -> Tensor:
    """How far each of `size` pixels is from the borders that there are, counted 0, 1, … and …, 2, 1."""
    place = torch.arange(size, dtype=torch.float64)
    far = torch.full_like(place, math.inf)
    return torch.minimum(place if before else far, size - place if after else far)


def composite(
    destination: Tensor, source: Tensor, x: int, y: int, *, resize_source: bool, mask: Tensor | None
) -> Tensor:
    """Lay `source` over `destination` at (x, y), where the mask is 1. Its alpha is treated as the colours are."""
    source = match_channels(destination, source)
    pasted = paste(destination.movedim(-1, 1), source.movedim(-1, 1), x, y, mask=mask, stretch=resize_source)
    return pasted.movedim(1, -1).contiguous()


def match_channels(image: Tensor, other: Tensor) -> Tensor:
    """`other` with as many channels as `image`: alpha is left out, or is 1 throughout."""
    return _with_channels(other, image.shape[-1])[..., : image.shape[-1]]


def _with_channels(image: Tensor, channels: int) -> Tensor:
    return pad(image, (0, max(0, channels - image.shape[-1])), value=1.0)


def _fit(image: Tensor, like: Tensor, method: str) -> Tensor:
    """Pictures cropped to the proportions of `like` and scaled to its size, where that differs."""
    height, width = like.shape[1:3]
    return image if image.shape[1:3] == like.shape[1:3] else resize(image, width, height, method, "center")


def fit(image: Tensor, like: Tensor, method: str) -> Tensor:
    """Pictures with the size and the channels of `like`."""
    return _fit(match_channels(like, image), like, method)


def _check_total(count: int, width: int, height: int, *, input: str) -> None:
    if count * width * height > MAX_BATCH_PIXELS:
        most = max(1, MAX_BATCH_PIXELS // (width * height))
        raise BadSize(
            f"{count} pictures of {width}×{height} pixels need too much memory.",
            hint=f"The most is {most} of this size.",
            input=input,
        )
