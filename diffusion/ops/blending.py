"""Two pictures mixed by the blend modes of image editors.

The modes are those of the W3C's "Compositing and Blending Level 1", but for `difference`, which is first − second
held to 0 rather than its magnitude.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from diffusion.ops.batches import check_batches
from diffusion.ops.pictures import fit


def blend(first: Tensor, second: Tensor, factor: float, mode: str) -> Tensor:
    """`factor` of the blend and the rest of the first, held to 0..1.

    The second is cropped and scaled (bicubic) to the first, and its alpha left out or added as 1. Raises BadBatch when
    the batches are neither equal nor one of them a single picture.
    """
    check_batches(first.shape[0], second.shape[0], input="image2", may_grow=True)
    blended = _MODES[mode](first, fit(second, first, "bicubic"))
    return (first * (1 - factor) + blended * factor).clamp(0, 1)


def _normal(first: Tensor, second: Tensor) -> Tensor:
    return second.expand_as(first) if second.shape[0] == 1 else second


def _screen(first: Tensor, second: Tensor) -> Tensor:
    return 1 - (1 - first) * (1 - second)


def _overlay(first: Tensor, second: Tensor) -> Tensor:
    return torch.where(first <= 0.5, 2 * first * second, 1 - 2 * (1 - first) * (1 - second))


def _soft_light(first: Tensor, second: Tensor) -> Tensor:
    darker = first - (1 - 2 * second) * first * (1 - first)
    curve = torch.where(first <= 0.25, ((16 * first - 12) * first + 4) * first, first.sqrt())
    lighter = first + (2 * second - 1) * (curve - first)
    return torch.where(second <= 0.5, darker, lighter)


_MODES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "normal": _normal,
    "multiply": torch.mul,
    "screen": _screen,
    "overlay": _overlay,
    "soft_light": _soft_light,
    "difference": torch.sub,
}
