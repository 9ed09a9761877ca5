"""Latents as they are made, scaled, saved and loaded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import interpolate

from diffusion.checkpoint_file import open_checkpoint
from diffusion.errors import BadLatent, BadSize, CorruptFile
from diffusion.images import MAX_PIXELS, MAX_SIDE, crop_to_proportions
from diffusion.values import Latent

CELL = 8
CHANNELS = 4
LATENT_METHODS = ("nearest-exact", "bilinear", "area", "bicubic", "bislerp")

_OLD_FORMAT_SCALE = 1 / 0.18215


def empty(width: int, height: int, batch_size: int) -> Latent:
    """Zeros for pictures of width×height pixels; what is left of a cell of 8×8 is dropped.

    Raises BadSize for a side under one cell or beyond the limits.
    """
    for name, side in (("width", width), ("height", height)):
        _check_side(name, side, least=CELL)
    if width * height > MAX_PIXELS:
        raise BadSize(f"{width}×{height} pixels are too many.", hint="Use a smaller width or height.", input="width")
    return Latent(torch.zeros(batch_size, CHANNELS, height // CELL, width // CELL))


def resize(latent: Latent, width: int, height: int, method: str, crop: str) -> Latent:
    """A latent scaled for pictures of width×height pixels; 0 keeps the proportions. The noise mask goes along as it is:
    it is fitted where it is used."""
    if width == 0 and height == 0:
        return latent
    rows, columns = latent.samples.shape[-2:]
    if width == 0:
        _check_side("height", height)
        height = max(64, height)
        width = max(64, round(columns * CELL * height / (rows * CELL)))
    elif height == 0:
        _check_side("width", width)
        width = max(64, width)
        height = max(64, round(rows * CELL * width / (columns * CELL)))
    else:
        _check_side("width", width)
        _check_side("height", height)
        width, height = max(64, width), max(64, height)
    return _scaled(latent, width // CELL, height // CELL, method, crop)


def resize_by(latent: Latent, factor: float, method: str) -> Latent:
    """A latent with both sides multiplied by `factor`, rounded to whole cells."""
    rows, columns = latent.samples.shape[-2:]
    width, height = round(columns * factor), round(rows * factor)
    for side in (width, height):
        if not 1 <= side * CELL <= MAX_SIDE:
            raise BadSize(
                f"Scaling by {factor} would make a picture of {width * CELL}×{height * CELL} pixels.",
                hint=f"Choose a factor that keeps both sides between {CELL} and {MAX_SIDE}.",
                input="scale_by",
            )
    return _scaled(latent, width, height, method, "disabled")


def _scaled(latent: Latent, columns: int, rows: int, method: str, crop: str) -> Latent:
    samples = latent.samples.float()
    if samples.ndim != 4:
        raise BadLatent(f"A latent of the shape {list(samples.shape)} cannot be scaled.", input="samples")
    if crop == "center":
        samples = crop_to_proportions(samples, columns, rows)
    return Latent(scaled(samples, columns, rows, method).contiguous(), latent.noise_mask, latent.batch_index)


def scaled(samples: Tensor, columns: int, rows: int, method: str) -> Tensor:
    """Float32 `[B,C,h,w]` on any device as `[B,C,rows,columns]`, by one of LATENT_METHODS."""
    if method == "bislerp":
        return _slerp_along(_slerp_along(samples, -1, columns), -2, rows)
    if method in LATENT_METHODS:
        return interpolate(samples, size=(rows, columns), mode=method)
    raise BadSize(f"There is no method {method!r}.", hint=f"Known: {', '.join(LATENT_METHODS)}.")


def _slerp_along(samples: Tensor, axis: int, size: int) -> Tensor:
    """Resample one axis, turning from each cell's vector of channels to the next along the arc between them
    (Shoemake 1985, "Animating rotation with quaternion curves") while their lengths change linearly."""
    old = samples.shape[axis]
    place = ((torch.arange(size, device=samples.device) + 0.5) * (old / size) - 0.5).clamp(0, old - 1)
    below = place.floor().long()
    above = (below + 1).clamp(max=old - 1)
    shape = [1, 1, 1, 1]
    shape[axis] = size
    part = (place - below).reshape(shape)
    first, second = samples.index_select(axis, below), samples.index_select(axis, above)
    first_length, second_length = first.norm(dim=1, keepdim=True), second.norm(dim=1, keepdim=True)
    first_unit = torch.where(first_length > 0, first / first_length.clamp(min=1e-30), 0.0)
    second_unit = torch.where(second_length > 0, second / second_length.clamp(min=1e-30), 0.0)
    cosine = (first_unit * second_unit).sum(dim=1, keepdim=True)
    angle = cosine.clamp(-1, 1).acos()
    sine = angle.sin().clamp(min=1e-12)
    turned = ((1 - part) * angle).sin() / sine * first_unit + (part * angle).sin() / sine * second_unit
    turned = turned * (first_length * (1 - part) + second_length * part)
    straight = first * (1 - part) + second * part
    return torch.where(cosine > 1 - 1e-5, first, torch.where(cosine < 1e-5 - 1, straight, turned))


def _check_side(name: str, side: int, least: int = 1) -> None:
    if not least <= side <= MAX_SIDE:
        raise BadSize(
            f"The {name} is {side} pixels.", hint=f"Use a multiple of {CELL} from 16 to {MAX_SIDE}.", input=name
        )


def save(latent: Latent, path: Path, metadata: Mapping[str, object]) -> None:
    """Write a latent as ComfyUI does: a safetensors file with `latent_tensor`, and JSON texts as metadata."""
    tensors = {"latent_tensor": latent.samples.contiguous(), "latent_format_version_0": torch.tensor([])}
    save_file(tensors, path, metadata={key: json.dumps(value) for key, value in metadata.items()})


def load(path: Path) -> Latent:
    """Read what `save` wrote. Files of ComfyUI's first format, which held scaled latents, are scaled back."""
    with open_checkpoint(path) as file:
        if "latent_tensor" not in file.tensors:
            raise CorruptFile(f"{path.name} holds no `latent_tensor`.", hint="Choose a .latent file.", input="latent")
        samples = file.tensor("latent_tensor").float().clone()
        current = "latent_format_version_0" in file.tensors
    return Latent(samples if current else samples * _OLD_FORMAT_SCALE)
