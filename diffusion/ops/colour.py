"""Pictures taken apart into brightness and colour, and put together again, by the weights of ITU-R BT.601."""

from __future__ import annotations

import torch
from torch import Tensor

from diffusion.errors import BadImage

_RED, _GREEN, _BLUE = 0.299, 0.587, 0.114
_MIDDLE = 0.5


def to_yuv(image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Brightness Y, blueness U and redness V of pictures [B, H, W, C], each as a grey picture [B, H, W, 3].

    U and V are 0.5 where there is no colour. Alpha is left out.
    """
    if image.shape[-1] < 3:
        raise BadImage(f"The picture has {image.shape[-1]} channels instead of red, green and blue.", input="image")
    red, green, blue = image[..., :3].unbind(-1)
    y = _RED * red + _GREEN * green + _BLUE * blue
    u = (blue - y) * 0.564 + _MIDDLE
    v = (red - y) * 0.713 + _MIDDLE
    return _grey(y), _grey(u), _grey(v)


def from_yuv(y: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """Pictures [B, H, W, 3], held to 0..1, from the mean over the channels of each of three. Raises BadImage when they
    differ in number or size."""
    for name, other in (("U", u), ("V", v)):
        if other.shape[:3] != y.shape[:3]:
            raise BadImage(
                f"{name} holds {_described(other)}, and Y {_described(y)}.",
                hint="Make all three the same size.",
                input=name,
            )
    brightness, blueness, redness = (each.mean(dim=-1) for each in (y, u, v))
    blueness, redness = blueness - _MIDDLE, redness - _MIDDLE
    red = brightness + 1.403 * redness
    green = brightness - 0.714 * redness - 0.344 * blueness
    blue = brightness + 1.773 * blueness
    return torch.stack((red, green, blue), dim=-1).clamp(0, 1)


def _grey(plane: Tensor) -> Tensor:
    return plane[..., None].repeat(1, 1, 1, 3)


def _described(image: Tensor) -> str:
    count, height, width = image.shape[:3]
    return f"{count} × {width}×{height} pixels"
