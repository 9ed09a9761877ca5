"""Where control networks' residuals land in a network whose inner layers may work at another size.

diffusers adds them whatever their size. Here each is added where its size is that of what it lands on, and the others
are left out with a warning, as in ComfyUI: those before a deep shrink still count.
"""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from diffusion.model_patches.hooks import After, Before, changing_input, changing_output, hooked
from diffusion.model_patches.layout import down_stages, last_of_stage, middle, output_blocks
from diffusion.sampling.protocols import Residuals

log = logging.getLogger("latentgraph.control")


def landing(unet: nn.Module, residuals: Residuals) -> AbstractContextManager[None]:
    """Residuals, in the network's type, added while this is entered, before any patch sees what they are added to."""
    blocks, inside = output_blocks(unet), list(residuals.inside)
    entrance = blocks[0].stage
    assert entrance is not None
    after: list[tuple[nn.Module, After]] = [
        (last_of_stage(stage), changing_output(lambda x, r=residual: _sum(x, r)))
        for stage, residual in zip(down_stages(unet), inside, strict=False)
    ]
    before: list[tuple[nn.Module, Before]] = [
        (block.resnet, changing_input(lambda both, n=block.backbone, r=residual: _behind(both, n, r)))
        for block, residual in zip(blocks, reversed(residuals.down), strict=False)
    ]
    centre = middle(unet)
    if len(inside) > len(down_stages(unet)) and centre is not None:
        after.append((centre, changing_output(lambda x: _sum(x, inside[-1]))))
    if residuals.middle is not None:
        before.append((entrance, changing_input(lambda x, r=residuals.middle: _sum(x, r))))
    return hooked(before, after, ahead=True)


def _sum(x: Tensor, residual: Tensor) -> Tensor | None:
    if x.shape[1:] != residual.shape[1:]:
        log.warning("A control of %s is left out: the model works on %s there", _size(residual), _size(x))
        return None
    return x + residual


def _behind(both: Tensor, channels: int, residual: Tensor) -> Tensor | None:
    """A residual for the skip behind a hidden state of so many channels."""
    skip = _sum(both[:, channels:], residual)
    return None if skip is None else torch.cat([both[:, :channels], skip], dim=1)


def _size(x: Tensor) -> str:
    return "×".join(str(side) for side in reversed(x.shape[-2:]))
