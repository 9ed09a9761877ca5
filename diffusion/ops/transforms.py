"""Pictures turned, mirrored, fitted into a size and put beside each other. IMAGE is float32 [B, H, W, C] in 0..1."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from diffusion.errors import BadImage, blaming
from diffusion.images import check_size, resize

_COLOURS = {
    "white": (1.0, 1.0, 1.0),
    "black": (0.0, 0.0, 0.0),
    "red": (1.0, 0.0, 0.0),
    "green": (0.0, 1.0, 0.0),
    "blue": (0.0, 0.0, 1.0),
}


def rotate(image: Tensor, quarter_turns: int) -> Tensor:
    """Turn clockwise by quarters."""
    return torch.rot90(image, quarter_turns, dims=(2, 1)).contiguous()


def flip(image: Tensor, *, vertically: bool) -> Tensor:
    """Mirror top to bottom, or else left to right."""
    return image.flip(1 if vertically else 2)


def scale_to_side(image: Tensor, largest: int, method: str) -> Tensor:
    """Scale so that the longer side is `largest` pixels, in the same proportions. Raises BadSize where a side would
    have no pixel."""
    rows, columns = image.shape[1:3]
    width = largest if columns >= rows else round(columns / rows * largest)
    height = largest if rows >= columns else round(rows / columns * largest)
    return _resized(image, width, height, method, input="largest_size")


def resize_and_pad(image: Tensor, width: int, height: int, colour: str, method: str) -> Tensor:
    """Scale to fit into width×height pixels, in the same proportions, on a ground of `colour` (white or black)."""
    _check(width, height, input="target_width")
    count, rows, columns, channels = image.shape
    scale = min(width / columns, height / rows)
    inner_width, inner_height = int(columns * scale), int(rows * scale)
    inner = _resized(image, inner_width, inner_height, method, input="target_width")
    result = torch.full((count, height, width, channels), _COLOURS[colour][0])
    top, left = (height - inner_height) // 2, (width - inner_width) // 2
    result[:, top : top + inner_height, left : left + inner_width] = inner
    return result


def stitch(first: Tensor, second: Tensor, direction: str, *, match: bool, spacing: int, colour: str) -> Tensor:
    """The second batch beside the first: to its right, left, up or down.

    Args:
        first, second: [B, H, W, C]; the last picture of the shorter batch is repeated, and a missing alpha is 1.
        match: scale the second (lanczos) so that the sides that touch are equally long; otherwise the shorter side is
            padded on both ends, in white or, for every other colour, in black, as in ComfyUI.
        spacing: width in pixels of a bar between them, made even.
        colour: of the bar.

    Raises BadSize when the result is beyond the limits.
    """
    axis = 2 if direction in ("left", "right") else 1
    count = max(len(first), len(second))
    first, second = _lengthened(first, count), _lengthened(second, count)
    if match:
        second = _matched(first, second, axis)
    else:
        ground = 1.0 if colour == "white" else 0.0
        side = max(first.shape[3 - axis], second.shape[3 - axis])
        first, second = (_centred(each, 3 - axis, side, ground) for each in (first, second))
    channels = max(first.shape[-1], second.shape[-1])
    parts = [pad(each, (0, channels - each.shape[-1]), value=1.0) for each in (first, second)]
    if direction in ("left", "up"):
        parts.reverse()
    if spacing:
        shape = [*first.shape[:3], channels]
        shape[axis] = spacing + spacing % 2
        bar = torch.ones(shape)
        shown = min(3, channels)
        bar[..., :shown] = torch.tensor(_COLOURS[colour][:shown])
        parts.insert(1, bar)
    sides = {axis: sum(each.shape[axis] for each in parts), 3 - axis: parts[0].shape[3 - axis]}
    _check(sides[2], sides[1], input="image2")
    return torch.cat(parts, dim=axis)


def _lengthened(image: Tensor, count: int) -> Tensor:
    return torch.cat((image, image[-1:].repeat(count - len(image), 1, 1, 1)))


def _matched(first: Tensor, second: Tensor, axis: int) -> Tensor:
    """The second picture with the first one's height (or width, along axis 1)."""
    rows, columns = first.shape[1:3]
    proportions = second.shape[2] / second.shape[1]
    width, height = (int(rows * proportions), rows) if axis == 2 else (columns, int(columns / proportions))
    return _resized(second, width, height, "lanczos", input="image2")


def _centred(image: Tensor, axis: int, side: int, ground: float) -> Tensor:
    missing = side - image.shape[axis]
    ends = (missing // 2, missing - missing // 2)
    return pad(image, (0, 0, *ends) if axis == 2 else (0, 0, 0, 0, *ends), value=ground)


def _resized(image: Tensor, width: int, height: int, method: str, *, input: str) -> Tensor:
    _check(width, height, input=input)
    return resize(image, width, height, method)


def _check(width: int, height: int, *, input: str) -> None:
    """Raise BadSize, blaming `input`, for a size that cannot be made."""
    with blaming(input, when=lambda _: True):
        check_size(width, height)


def join_alpha(image: Tensor, transparent: Tensor) -> Tensor:
    """Pictures [B, H, W, C] with an alpha of 1 − `transparent` [b, h, w], stretched to them (bilinear), in place of
    any that they had. There are as many as the smaller batch has."""
    masks = transparent.reshape(-1, *transparent.shape[-2:], 1)
    count = min(len(image), len(masks))
    alpha = 1.0 - resize(masks[:count], image.shape[2], image.shape[1], "bilinear")
    return torch.cat((image[:count, ..., :3], alpha), dim=-1)


def split_alpha(image: Tensor) -> tuple[Tensor, Tensor]:
    """Pictures' colours [B, H, W, 3], and a mask [B, H, W] that is 1 where they are transparent."""
    if image.shape[-1] < 3:
        raise BadImage(f"The picture has {image.shape[-1]} channels instead of red, green and blue.", input="image")
    transparent = 1.0 - image[..., 3] if image.shape[-1] > 3 else torch.zeros(image.shape[:3])
    return image[..., :3].clone(), transparent
