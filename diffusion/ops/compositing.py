"""Two pictures with alpha laid over each other by the operators of Porter and Duff (1984, "Compositing Digital
Images") and the blend modes beside them, as Android's `PorterDuff.Mode` defines both.

The operators work on colours multiplied by their alpha. Overlay's lighter half takes each alpha from the other colour,
as in ComfyUI.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from diffusion.errors import BadImage
from diffusion.images import resize

_OPAQUE_ENOUGH = 1e-5


@dataclass(frozen=True, slots=True, eq=False)
class _Layer:
    """Colours [1, H, W, C] times their alpha [1, H, W, 1]."""

    colour: Tensor
    alpha: Tensor

    @property
    def clear(self) -> Tensor:
        return 1 - self.alpha


def _union(s: _Layer, d: _Layer) -> Tensor:
    return s.alpha + d.alpha - s.alpha * d.alpha


def _outside(s: _Layer, d: _Layer) -> Tensor:
    """What of each lies outside of the other."""
    return d.clear * s.colour + s.clear * d.colour


def _overlay(s: _Layer, d: _Layer) -> Tensor:
    light = s.alpha * d.alpha - 2 * (d.alpha - s.colour) * (s.alpha - d.colour)
    return torch.where(2 * d.colour < d.alpha, 2 * s.colour * d.colour, light)


_MODES: dict[str, Callable[[_Layer, _Layer], tuple[Tensor, Tensor]]] = {
    "ADD": lambda s, d: ((s.colour + d.colour).clamp(0, 1), (s.alpha + d.alpha).clamp(0, 1)),
    "CLEAR": lambda _, d: (torch.zeros_like(d.colour), torch.zeros_like(d.alpha)),
    "DARKEN": lambda s, d: (_outside(s, d) + torch.minimum(s.colour, d.colour), _union(s, d)),
    "DST": lambda _, d: (d.colour, d.alpha),
    "DST_ATOP": lambda s, d: (s.alpha * d.colour + d.clear * s.colour, s.alpha),
    "DST_IN": lambda s, d: (d.colour * s.alpha, s.alpha * d.alpha),
    "DST_OUT": lambda s, d: (s.clear * d.colour, s.clear * d.alpha),
    "DST_OVER": lambda s, d: (d.colour + d.clear * s.colour, d.alpha + d.clear * s.alpha),
    "LIGHTEN": lambda s, d: (_outside(s, d) + torch.maximum(s.colour, d.colour), _union(s, d)),
    "MULTIPLY": lambda s, d: (s.colour * d.colour, s.alpha * d.alpha),
    "OVERLAY": lambda s, d: (_overlay(s, d), _union(s, d)),
    "SCREEN": lambda s, d: (s.colour + d.colour - s.colour * d.colour, _union(s, d)),
    "SRC": lambda s, _: (s.colour, s.alpha),
    "SRC_ATOP": lambda s, d: (d.alpha * s.colour + s.clear * d.colour, d.alpha),
    "SRC_IN": lambda s, d: (s.colour * d.alpha, s.alpha * d.alpha),
    "SRC_OUT": lambda s, d: (d.clear * s.colour, d.clear * s.alpha),
    "SRC_OVER": lambda s, d: (s.colour + s.clear * d.colour, s.alpha + s.clear * d.alpha),
    "XOR": lambda s, d: (_outside(s, d), d.clear * s.alpha + s.clear * d.alpha),
}


def porter_duff(
    source: Tensor, source_clear: Tensor, destination: Tensor, destination_clear: Tensor, mode: str
) -> tuple[Tensor, Tensor]:
    """Composite pictures [B, H, W, C] by `mode`, one of the operators in capitals.

    The masks [b, h, w] are 1 where a picture is transparent, and so is the one returned. Source and masks are cropped
    and scaled (bicubic) to the destination. There are as many results as the smallest batch has. Raises BadImage when
    one picture has alpha and the other none.
    """
    if source.shape[-1] != destination.shape[-1]:
        raise BadImage(
            f"The source has {source.shape[-1]} channels and the destination has {destination.shape[-1]}.",
            hint="Take the alpha off with Split picture and alpha.",
            input="source",
        )
    clear = [each.reshape(-1, *each.shape[-2:], 1) for each in (source_clear, destination_clear)]
    count = min(len(source), len(destination), *(len(each) for each in clear))
    rows, columns = destination.shape[1:3]
    below = _layer(destination[:count], clear[1][:count], columns, rows)
    above = _layer(source[:count], clear[0][:count], columns, rows)
    colour, alpha = _MODES[mode](above, below)
    colour = torch.where(alpha > _OPAQUE_ENOUGH, colour / alpha, torch.zeros_like(colour)).clamp(0, 1)
    return colour, 1 - alpha[..., 0]


def _layer(image: Tensor, clear: Tensor, width: int, height: int) -> _Layer:
    image, clear = _fitted(image, width, height), _fitted(clear, width, height)
    return _Layer(image * (1 - clear), 1 - clear)


def _fitted(image: Tensor, width: int, height: int) -> Tensor:
    same = image.shape[1:3] == (height, width)
    return image if same else resize(image, width, height, "bicubic", "center")
