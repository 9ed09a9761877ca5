"""FreeU (Si et al. 2023): on the way up, the backbone made stronger and the low frequencies of the skips weaker."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from diffusion.model_options import FreeUOption
from diffusion.model_patches.hooks import Before, first_input, hooked, with_first
from diffusion.model_patches.layout import output_blocks, width
from diffusion.sampling.run_patches import PassInfo, RunPatch


class FreeU(RunPatch):
    """Changes the blocks whose hidden state has four or two times the channels of the first level.

    Half of the backbone's channels are multiplied: in version 1 by b, in version 2 by 1 + (b - 1) · m, where m is the
    mean over the channels, brought to 0 … 1 in each picture.
    """

    def __init__(self, unet: nn.Module, option: FreeUOption) -> None:
        base = width(unet)
        factors = {base * 4: (option.b1, option.s1), base * 2: (option.b2, option.s2)}
        self._hooks = [
            (block.resnet, _joined(block.backbone, *factors[block.backbone], adaptive=option.version == 2))
            for block in output_blocks(unet)
            if block.backbone in factors
        ]

    def during(self, call: PassInfo) -> AbstractContextManager[object]:
        del call
        return hooked(before=self._hooks)


def _joined(channels: int, backbone: float, skip: float, *, adaptive: bool) -> Before:
    def change(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]):
        both = first_input(args, kwargs, "input_tensor")
        hidden, rest = both[:, :channels], both[:, channels:]
        half, kept = hidden[:, : channels // 2], hidden[:, channels // 2 :]
        strength: Tensor | float = backbone
        if adaptive:
            mean = hidden.mean(dim=1, keepdim=True)
            low, high = mean.amin(dim=(2, 3), keepdim=True), mean.amax(dim=(2, 3), keepdim=True)
            strength = (backbone - 1) * (mean - low) / (high - low) + 1
        return with_first(args, kwargs, torch.cat([half * strength, kept, damped(rest, skip)], dim=1))

    return change


def damped(x: Tensor, factor: float, radius: int = 1) -> Tensor:
    """`x` `[B,C,h,w]` with its frequencies below `radius` (of `[-radius, radius)` in both directions) multiplied."""
    height, wide = x.shape[-2:]
    frequencies = torch.fft.fftshift(torch.fft.fft2(x.float()), dim=(-2, -1))
    rows, columns = height // 2, wide // 2
    frequencies[..., rows - radius : rows + radius, columns - radius : columns + radius] *= factor
    return torch.fft.ifft2(torch.fft.ifftshift(frequencies, dim=(-2, -1))).real.to(x.dtype)
