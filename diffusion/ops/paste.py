"""Laying one picture or latent over a part of another."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from diffusion.errors import BadSize
from diffusion.ops.batches import repeat_to


def check_place(x: int, y: int, width: int, height: int) -> None:
    """Raise BadSize, naming the input, for a corner (x, y) at which nothing of a width×height picture is left."""
    _check(x, y, width, height, most=-1)


def check_corner(x: int, y: int, width: int, height: int, *, cell: int = 1) -> None:
    """As `check_place`, but a corner right behind the last pixel is let pass, where laying something changes nothing.
    `cell` is how many pixels count as right behind it: 8 where a corner in pixels becomes one in cells of a latent."""
    _check(x, y, width, height, most=cell - 1)


def _check(x: int, y: int, width: int, height: int, *, most: int) -> None:
    for name, at, side, what in (("x", x, width, "wide"), ("y", y, height, "high")):
        if not 0 <= at <= side + most:
            raise BadSize(
                f"{name} is {at}, which lies outside a picture that is {side} pixels {what}.",
                hint=f"Use 0 to {side - 1}.",
                input=name,
            )


def paste(
    destination: Tensor,
    source: Tensor,
    x: int,
    y: int,
    *,
    mask: Tensor | None = None,
    stretch: bool = False,
    cell: int = 1,
) -> Tensor:
    """Lay `source` over `destination` with its top left corner at (x, y); what sticks out is cut off, so beyond the
    destination's edge nothing changes.

    Args:
        destination: [B, C, H, W].
        source: [b, C, h, w]; its batch is repeated or cut to B.
        x, y: in pixels; a value of these tensors stands for `cell`×`cell` pixels.
        mask: [m, H', W'], 1 where the source covers the destination; stretched to the source, and repeated or cut to B.
        stretch: first scale the source to the destination's size.
    """
    rows, columns = destination.shape[-2:]
    left, top = min(x // cell, columns), min(y // cell, rows)
    if stretch:
        source = interpolate(source, size=(rows, columns), mode="bilinear")
    source = repeat_to(source, destination.shape[0])
    height, width = min(source.shape[-2], rows - top), min(source.shape[-1], columns - left)
    area = (..., slice(top, top + height), slice(left, left + width))
    part = source[..., :height, :width]
    if mask is not None:
        cover = interpolate(mask.reshape(-1, 1, *mask.shape[-2:]), size=tuple(source.shape[-2:]), mode="bilinear")
        cover = repeat_to(cover, destination.shape[0])[..., :height, :width]
        part = cover * part + (torch.ones_like(cover) - cover) * destination[area]
    result = destination.clone()
    result[area] = part
    return result
