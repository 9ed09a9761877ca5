"""T2I-Adapters (Mou et al. 2023): small networks that read a picture once, and add what they see to each level of the
U-Net's way down, whatever the noise level and the prompt.

There are three: the full one and the light one for Stable Diffusion 1, and the full one for SDXL.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import torch
from diffusers.models.adapter import T2IAdapter
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from diffusion.architecture import SD1, SDXL
from diffusion.build import fill
from diffusion.checkpoint_file import CheckpointFile
from diffusion.control.loaded import LoadedControl
from diffusion.detection.shapes import ShapeMap, Shapes
from diffusion.keys import NameMap
from diffusion.placing import Place
from diffusion.sampling.protocols import Residuals
from diffusion.sidecar import Sidecar

_LEVELS = 4
_CELL = 8
_XL_CELL = 16
_XL_INPUTS = (_XL_CELL**2, 3 * _XL_CELL**2)
_BLOCK = re.compile(r"adapter\.body\.(\d+)\.(?:resnets\.(\d+)\.)?(.+)")

Kind = Literal["full_adapter", "light_adapter", "full_adapter_xl"]


@dataclass(frozen=True, slots=True)
class AdapterConfig:
    """A T2I-Adapter. `hint_channels` are those of the picture it reads, `channels` the widths of what it adds, the
    finest first; `cell` is the side in pixels of the squares it takes the picture apart into."""

    kind: Kind
    hint_channels: int
    channels: tuple[int, ...]
    layers_per_level: int
    layout: Literal["original", "diffusers"]

    @property
    def cell(self) -> int:
        return _XL_CELL if self.kind == "full_adapter_xl" else _CELL

    @property
    def family(self) -> str:
        """The family of models that it was trained for."""
        return SDXL if self.kind == "full_adapter_xl" else SD1

    def fits(self, channels: tuple[int, ...]) -> bool:
        """Whether it adds to a U-Net with levels of these widths. SDXL's has three, and the last is for its middle."""
        return self.channels == ((*channels, channels[-1]) if self.kind == "full_adapter_xl" else channels)


@dataclass(frozen=True, slots=True, eq=False)
class LoadedAdapter(LoadedControl):
    """A T2I-Adapter on its device, computing in the type it was loaded in."""

    module: T2IAdapter
    config: AdapterConfig
    device: torch.device
    dtype: torch.dtype

    @property
    def bytes(self) -> int:
        return sum(each.numel() * each.element_size() for each in self.module.parameters())

    @torch.inference_mode()
    def residuals(self, hint: Tensor) -> Residuals:
        """What it adds to the U-Net for a picture [B, C, H, W] from 0 to 1, whose sides are multiples of `cell`."""
        features = self.module(hint.to(self.device, self.dtype))
        return Residuals(inside=tuple(each.float() for each in features))


class EvenPool(nn.Module):
    """The mean of each 2×2 square of [B, C, H, W]. An odd side starts from an edge of zeros, which count, as in the
    authors' code and ComfyUI; diffusers' squares start at the first place, and the last is incomplete."""

    def forward(self, x: Tensor) -> Tensor:
        return avg_pool2d(x, 2, 2, padding=(x.shape[-2] % 2, x.shape[-1] % 2))


def read_adapter(shapes: ShapeMap, name: str) -> AdapterConfig | None:
    """The T2I-Adapter that shapes are of; None when they are of none. Raises UnsupportedArchitecture for a variant that
    is not known."""
    file = Shapes(shapes, Sidecar(name=""), name)
    if file.starts("body.") and any(key.endswith(("down_opt.op.weight", "skep.weight")) for key in shapes):
        raise file.unsupported("its T2I-Adapter is of a variant that is not known")
    layout: Literal["original", "diffusers"]
    if file.has("adapter.body.0.resnets.0.block1.weight"):
        layout, root, layers = "diffusers", "adapter.", file.count("adapter.body.0.resnets.")
    elif file.has("body.0.body.0.block1.weight"):
        layout, root, layers = "original", "", file.count("body.0.body.")
    elif file.has("conv_in.weight") and file.has("body.0.block1.weight"):
        layout, root, layers = "original", "", file.count("body.") // _LEVELS
    else:
        return None
    full = file.has(f"{root}conv_in.weight")
    if full:
        inputs = file.shape(f"{root}conv_in.weight", 4)[1]
        kind: Kind = "full_adapter_xl" if inputs in _XL_INPUTS else "full_adapter"
    else:
        inputs, kind = file.shape(f"{root}body.0.in_conv.weight", 4)[1], "light_adapter"
    channels: list[int] = []
    for level in range(_LEVELS):
        widest = f"{level}.resnets.0.block1" if layout == "diffusers" else f"{level * layers}.block1"
        channels.append(file.shape(f"{root}body.{widest if full else f'{level}.out_conv'}.weight", 4)[0])
    cell = _XL_CELL if kind == "full_adapter_xl" else _CELL
    return AdapterConfig(kind, inputs // cell**2, tuple(channels), layers, layout)


def build_adapter(config: AdapterConfig, file: CheckpointFile, place: Place) -> LoadedAdapter:
    """The T2I-Adapter of a file."""
    # The light one of diffusers makes a level more than it is given: the last width counts twice.
    channels = config.channels[:-1] if config.kind == "light_adapter" else config.channels
    with torch.device("meta"):
        module = T2IAdapter(
            in_channels=config.hint_channels,
            channels=list(channels),
            num_res_blocks=config.layers_per_level,
            downscale_factor=config.cell,
            adapter_type=config.kind,
        )
    for name, each in list(module.named_modules()):
        if isinstance(each, nn.AvgPool2d):
            module.set_submodule(name, EvenPool())
    return LoadedAdapter(fill(module, file, adapter_names(config), place), config, place.device, place.dtype)


def adapter_names(config: AdapterConfig) -> NameMap:
    """From the parameter names of diffusers' module to those in the file."""
    if config.layout == "diffusers":
        return str

    def original(name: str) -> str:
        block = _BLOCK.fullmatch(name)
        if block is None:
            return name.removeprefix("adapter.")
        level, layer, rest = int(block[1]), int(block[2] or 0), block[3]
        if config.kind == "light_adapter":
            return f"body.{level}.{rest}" if block[2] is None else f"body.{level}.body.{layer}.{rest}"
        return f"body.{level * config.layers_per_level + layer}.{rest}"

    return original
