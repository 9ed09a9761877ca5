"""Latents pasted, cut, mixed and added.

Places and sizes are given in pixels, of which 8×8 make one cell of a latent. A noise mask goes along as it is,
because it is fitted to the latent where it is used. What changes the batch is in `latent_batches`.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from diffusion.errors import BadLatent
from diffusion.images import crop_to_proportions
from diffusion.latents import CELL
from diffusion.ops.batches import check_batches, repeat_to
from diffusion.ops.paste import check_corner, paste
from diffusion.values import Latent

_SMALLEST_CROP = 64 // CELL


def composite(to: Latent, source: Latent, x: int, y: int, feather: int) -> Latent:
    """Lay `source` over `to` at (x, y) pixels. Those of its edges that lie inside fade in over `feather` pixels."""
    check_alike(to, source, input="samples_from")
    below, above = to.samples, source.samples
    check_batches(below.shape[0], above.shape[0], input="samples_from", may_grow=False)
    rows, columns = below.shape[-2:]
    left, top, fade = x // CELL, y // CELL, feather // CELL
    check_corner(x, y, columns * CELL, rows * CELL, cell=CELL)
    above = above[..., : rows - top, : columns - left]
    height, width = above.shape[-2:]
    area = (..., slice(top, top + height), slice(left, left + width))
    if fade:
        down = _fade(height, fade, near=top > 0, far=top + height < rows)
        across = _fade(width, fade, near=left > 0, far=left + width < columns)
        cover = down[:, None] * across[None, :]
        above = above * cover + below[area] * (1 - cover)
    result = below.clone()
    result[area] = above
    return replace(to, samples=result)


def _fade(size: int, length: int, *, near: bool, far: bool) -> Tensor:
    """Weights of `size` cells that rise from 1/length to 1 from the near edge, the far edge, or both.

    A fade longer than the source goes on from its other side, through the negative index: files rely on these numbers.
    """
    weights = torch.ones(size)
    for step in range(length):
        if near and step < size:
            weights[step] *= (step + 1) / length
        if far and step < 2 * size and step != size:
            weights[size - 1 - step] *= (step + 1) / length
    return weights


def composite_masked(
    destination: Latent, source: Latent, x: int, y: int, *, resize_source: bool, mask: Tensor | None
) -> Latent:
    """Lay `source` over `destination` at (x, y) pixels, where the mask is 1."""
    check_alike(destination, source, input="source")
    samples = paste(destination.samples, source.samples, x, y, mask=mask, stretch=resize_source, cell=CELL)
    return replace(destination, samples=samples)


def blend(first: Latent, second: Latent, factor: float) -> Latent:
    """`factor` of the first and the rest of the second, which is cropped and scaled (bicubic) to the first's size."""
    check_alike(first, second, input="samples2")
    check_batches(first.samples.shape[0], second.samples.shape[0], input="samples2", may_grow=True)
    other = fit(second.samples, first.samples, "bicubic")
    return replace(first, samples=first.samples * factor + other * (1 - factor))


def crop(latent: Latent, width: int, height: int, x: int, y: int) -> Latent:
    """Cut out width×height pixels at (x, y), fewer where they stick out.

    A corner within the last 64 pixels, or beyond, is moved back. In a latent of fewer than 64 pixels it falls below 0
    and so counts from the far edge, as in ComfyUI.
    """
    rows, columns = latent.samples.shape[-2:]
    left = min(x // CELL, columns - _SMALLEST_CROP)
    top = min(y // CELL, rows - _SMALLEST_CROP)
    return replace(latent, samples=latent.samples[..., top : top + height // CELL, left : left + width // CELL].clone())


def rotate(latent: Latent, quarter_turns: int) -> Latent:
    """Turn clockwise by quarters."""
    return replace(latent, samples=torch.rot90(latent.samples, quarter_turns, dims=(3, 2)).contiguous())


def flip(latent: Latent, *, vertically: bool) -> Latent:
    """Mirror top to bottom, or else left to right."""
    return replace(latent, samples=latent.samples.flip(2 if vertically else 3))


_AXES = {"x": -1, "y": -2, "t": -3}
"""The axes by their names in nodes. Latents of pictures have no time: t is their channels."""


def concat(first: Latent, second: Latent, direction: str) -> Latent:
    """The second beside the first along x, y or t, or before it where `direction` begins with a minus. Raises BadLatent
    when the other sides differ."""
    one, other = first.samples, repeat_to(second.samples, first.samples.shape[0])
    axis = _AXES[direction[-1]]
    shapes = [[size for place, size in enumerate(each.shape) if place != each.ndim + axis] for each in (one, other)]
    if shapes[0] != shapes[1]:
        raise BadLatent(
            f"Latents of the shapes {list(one.shape)} and {list(other.shape)} cannot lie beside each other along "
            f"{direction[-1]}.",
            hint="Scale or crop one of them first.",
            input="samples2",
        )
    return replace(first, samples=torch.cat((other, one) if direction.startswith("-") else (one, other), dim=axis))


def cut(latent: Latent, direction: str, index: int, amount: int) -> Latent:
    """`amount` cells, or as many as there are, from cell `index` on along x, y or t; below 0 it counts from the end."""
    axis = _AXES[direction]
    size = latent.samples.shape[axis]
    first = min(index, size - 1) if index >= 0 else max(0, size + index)
    return replace(latent, samples=latent.samples.narrow(axis, first, min(amount, size - first)).clone())


def add(first: Latent, second: Latent) -> Latent:
    return replace(first, samples=first.samples + _operand(first, second))


def subtract(first: Latent, second: Latent) -> Latent:
    return replace(first, samples=first.samples - _operand(first, second))


def multiply(latent: Latent, factor: float) -> Latent:
    return replace(latent, samples=latent.samples * factor)


def interpolate_between(first: Latent, second: Latent, ratio: float) -> Latent:
    """`ratio` of the first and the rest of the second, mixing direction and length of each cell's channels apart.

    The directions are averaged and brought back to length 1, so that a mix is as strong as what went into it.
    """
    one, other = first.samples, _operand(first, second)
    one_length, other_length = _lengths(one), _lengths(other)
    direction = _over(one, one_length) * ratio + _over(other, other_length) * (1 - ratio)
    unit = _over(direction, _lengths(direction))
    return replace(first, samples=unit * (one_length * ratio + other_length * (1 - ratio)))


def _lengths(samples: Tensor) -> Tensor:
    """The length of each cell's vector of channels, to be broadcast against `samples` [B, C, h, w].

    In a batch of as many items as channels, the length of item c goes with channel c of every item: an oddity of
    ComfyUI, whose lengths [B, h, w] line up with the channels there.
    """
    lengths = torch.linalg.vector_norm(samples, dim=1)
    return lengths[None] if samples.shape[0] == samples.shape[1] else lengths[:, None]


def _over(vectors: Tensor, length: Tensor) -> Tensor:
    """Vectors divided by their length; a vector of length 0 has no direction and stays 0."""
    return torch.nan_to_num(vectors / length)


def set_noise_mask(latent: Latent, mask: Tensor) -> Latent:
    """Sample only where `mask` [B, H, W] is 1. It may have any size: it is scaled where it is used."""
    return replace(latent, noise_mask=mask.reshape(-1, *mask.shape[-2:]))


def fit(samples: Tensor, like: Tensor, method: str) -> Tensor:
    """Samples cropped to the proportions of `like` and scaled to its size, where that differs."""
    if samples.shape[1:] == like.shape[1:]:
        return samples
    rows, columns = like.shape[-2:]
    return interpolate(crop_to_proportions(samples, columns, rows), size=(rows, columns), mode=method)


def check_alike(first: Latent, second: Latent, *, input: str) -> None:
    """Raise BadLatent when the second (of that input) is no latent of as many channels as the first."""
    for latent in (first, second):
        if latent.samples.ndim != 4:
            raise BadLatent(
                f"A latent of the shape {list(latent.samples.shape)} is no latent of pictures.", input=input
            )
    have, need = second.samples.shape[1], first.samples.shape[1]
    if have != need:
        raise BadLatent(
            f"This latent has {have} channels and the other has {need}.",
            hint="Latents of different model families can't be mixed: decode one, and encode it with the other's VAE.",
            input=input,
        )


def _operand(first: Latent, second: Latent) -> Tensor:
    check_alike(first, second, input="samples2")
    return repeat_to(fit(second.samples, first.samples, "bilinear"), first.samples.shape[0])
