"""Enlarges pictures by a network (ESRGAN, SwinIR, HAT, DAT …), tile by tile, with spandrel's architectures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from spandrel import ImageModelDescriptor, ModelLoader, UnsupportedModelError
from torch import Tensor

from diffusion.checkpoint_file import CheckpointFile
from diffusion.errors import BadImage, UnsupportedArchitecture
from diffusion.families import recognise
from diffusion.images import MAX_PIXELS
from diffusion.memory import is_out_of_memory
from diffusion.tiles import Tiling, in_tiles

TILE = 512
"""The side of a tile in pixels of the picture. It is halved when memory runs out, down to MIN_TILE."""
MIN_TILE = 64
OVERLAP = 32
"""By how many pixels neighbouring tiles overlap."""

Report = Callable[[int, int], None]
"""Called with the tiles done and their number, before the first and after each; may raise to stop."""


@dataclass(frozen=True, slots=True, eq=False)
class LoadedUpscaler:
    """An upscaling network on its device, in float32."""

    model: ImageModelDescriptor
    device: torch.device

    @property
    def scale(self) -> int:
        return self.model.scale

    @property
    def bytes(self) -> int:
        return sum(each.numel() * each.element_size() for each in self.model.model.parameters())

    def enlarge(self, tile: Tensor) -> Tensor:
        """float32 [1, 3, h, w] in 0..1 → [1, 3, scale·h, scale·w] on the CPU."""
        return self.model(tile.to(self.device)).float().cpu()


def build_upscaler(file: CheckpointFile, device: torch.device) -> LoadedUpscaler:
    """The network in a file. Raises UnsupportedArchitecture when it is none that enlarges RGB pictures."""
    weights = {name: file.tensor(name).float() for name in file.names()}
    try:
        model = ModelLoader(device).load_from_state_dict(weights)
    except UnsupportedModelError as error:
        known = recognise(file.shapes)
        what = known.name if known is not None else "no upscaler that is known"
        raise UnsupportedArchitecture(
            f"{file.path.name} is {what}.", hint="Choose an upscaler from models/upscale_models.", input="upscale_model"
        ) from error
    if not isinstance(model, ImageModelDescriptor) or (model.input_channels, model.output_channels) != (3, 3):
        raise UnsupportedArchitecture(
            f"{file.path.name} ({model.architecture.name}) does not turn one RGB picture into another.",
            hint="Choose an upscaler for colour pictures.",
            input="upscale_model",
        )
    model.model.requires_grad_(False).eval()
    return LoadedUpscaler(model, device)


@torch.inference_mode()
def upscale(net: LoadedUpscaler, image: Tensor, report: Report, *, tile: int = TILE) -> Tensor:
    """IMAGE [B, H, W, C] → IMAGE [B, scale·H, scale·W, 3], clamped to 0..1.

    Tiles are halved and the picture begun again when the device's memory runs out; what the last, smallest tile raises
    is passed on. Raises BadImage when the picture is no IMAGE, or would become too large.
    """
    if image.ndim != 4 or image.shape[-1] < 3:
        raise BadImage(f"An image of the shape {list(image.shape)} cannot be enlarged.", input="image")
    pixels = image[..., :3].movedim(-1, 1).float()
    if image.shape[1] * image.shape[2] * net.scale**2 > MAX_PIXELS:
        raise BadImage(
            f"Enlarged {net.scale} times, {image.shape[2]}×{image.shape[1]} pixels are more than this program makes.",
            hint="Scale the picture down first.",
            input="image",
            code="too_large",
        )
    while True:
        try:
            return _tiled(net, pixels, tile, report).clamp(0, 1).movedim(1, -1).contiguous().clone()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error) or tile // 2 < MIN_TILE:
                raise
            tile //= 2
            if net.device.type == "cuda":
                torch.cuda.empty_cache()


def _tiled(net: LoadedUpscaler, pixels: Tensor, tile: int, report: Report) -> Tensor:
    tiling = Tiling(tile, tile, OVERLAP)
    total = tiling.count(pixels.shape)
    done = 0

    def after_each() -> None:
        nonlocal done
        done += 1
        report(done, total)

    report(done, total)
    return in_tiles(net.enlarge, pixels, tiling, net.scale, after_each)
