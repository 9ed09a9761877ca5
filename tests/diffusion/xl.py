"""A reduced-width SDXL checkpoint with random weights in the original single-file layout, and its parts alone.

The narrow text encoder is 64 wide and the wide one 128, so the U-Net reads prompts of width 192.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from diffusion.architecture import ClipConfig, UnetConfig
from diffusion.build import clip_skeleton, unet_skeleton
from diffusion.keys import clip_names, unet_names
from tests.diffusion import tiny
from tests.reference.recipes import weights

UNET = UnetConfig(
    in_channels=4,
    out_channels=4,
    channels=(64, 128),
    layers_per_level=1,
    down_depths=((0,), (2,)),
    up_depths=((2, 2), (0, 0)),
    middle_depth=2,
    context_dim=192,
    heads=(1, 2),
    linear_projection=True,
    vector=128 + 6 * 256,
    numbers=6,
)
SMALL = replace(tiny.CLIP, default_layer=-2, norm_hidden=False, root="conditioner.embedders.0.transformer.text_model.")
LARGE = ClipConfig(
    vocabulary=49408,
    positions=77,
    width=128,
    layers=3,
    heads=2,
    feed_forward=256,
    activation="gelu",
    pad=0,
    default_layer=-2,
    norm_hidden=False,
    projection=128,
    root="conditioner.embedders.1.model.",
    layout="open_clip",
)


def unet(config: UnetConfig) -> dict[str, Tensor]:
    """The tensors of a U-Net, by their names in the file."""
    place = unet_names(config)
    shapes = {place(name): tuple(value.shape) for name, value in unet_skeleton(config).state_dict().items()}
    return {name: weights(name, shape) for name, shape in shapes.items()}


def clip(config: ClipConfig) -> dict[str, Tensor]:
    """The tensors of a text encoder, by their names in the file."""
    place = clip_names(config)
    (module,) = clip_skeleton([config])
    shapes: dict[str, tuple[int, ...]] = {}
    for name, value in module.state_dict().items():
        stacked = "in_proj" in place(name)
        shapes[place(name)] = (3 * value.shape[0], *value.shape[1:]) if stacked else tuple(value.shape)
    return {name: weights(name, shape) for name, shape in shapes.items() if "position_ids" not in name}


def tensors() -> dict[str, Tensor]:
    """A whole checkpoint."""
    vae = {name: value for name, value in tiny.tensors().items() if name.startswith("first_stage_model.")}
    return {**unet(UNET), **clip(SMALL), **clip(LARGE), **vae}


def shapes(found: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in found.items()}


def stated(flat: Tensor) -> Tensor:
    """SDXL's embedding of numbers, written out: cosines, then sines, of each times 10000^(-i/128)."""
    frequencies = 10_000.0 ** (-torch.arange(128, dtype=torch.float64) / 128)
    angles = flat.double()[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=1).reshape(-1).float()
