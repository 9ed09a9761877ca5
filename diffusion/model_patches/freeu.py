"""FreeU (Si et al. 2023): on the way up, the backbone made stronger and the low frequencies of the skips weaker."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from diffusion.model_options import FreeUOption
from diffusion.model_patches.hooks import Before, before_skips, changing_input, hooked
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
        blocks = output_blocks(unet)

        def strengthen(number: int, hidden: Tensor) -> Tensor | None:
            found = factors.get(blocks[number].backbone)
            return None if found is None else strengthened(hidden, found[0], adaptive=option.version == 2)

        self._before, self._after = before_skips(blocks, strengthen)
        self._before += [
            (block.resnet, _weaken(block.backbone, factors[block.backbone][1]))
            for block in blocks
            if block.backbone in factors
        ]

    def during(self, call: PassInfo) -> AbstractContextManager[object]:
        del call
        return hooked(self._before, self._after)


def _weaken(channels: int, factor: float) -> Before:
    """A hook on what reads the hidden state, of so many channels, with its skip behind it."""
    return changing_input(lambda both: torch.cat([both[:, :channels], damped(both[:, channels:], factor)], dim=1))


def strengthened(hidden: Tensor, factor: float, *, adaptive: bool) -> Tensor:
    """The hidden state with half of its channels multiplied; `adaptive` is version 2."""
    half, kept = hidden.chunk(2, dim=1)
    strength: Tensor | float = factor
    if adaptive:
        mean = hidden.mean(dim=1, keepdim=True)
        low, high = mean.amin(dim=(2, 3), keepdim=True), mean.amax(dim=(2, 3), keepdim=True)
        strength = (factor - 1) * (mean - low) / (high - low) + 1
    return torch.cat([half * strength, kept], dim=1)


def damped(x: Tensor, factor: float, radius: int = 1) -> Tensor:
    """`x` `[B,C,h,w]` with its frequencies below `radius` (of `[-radius, radius)` in both directions) multiplied."""
    height, wide = x.shape[-2:]
    frequencies = torch.fft.fftshift(torch.fft.fft2(x.float()), dim=(-2, -1))
    rows, columns = height // 2, wide // 2
    frequencies[..., rows - radius : rows + radius, columns - radius : columns + radius] *= factor
    return torch.fft.ifft2(torch.fft.ifftshift(frequencies, dim=(-2, -1))).real.to(x.dtype)
