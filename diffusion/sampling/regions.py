"""Where and when a prompt has a say: the options that conditioning nodes put on a `CondEntry`.

`area`: (height, width, y, x) in latent pixels, or ("percentage", height, width, y, x) as parts of the picture.
`strength`: weight of the prompt (1). `mask`: `[B,H,W]`, 0 to 1, any size. `mask_strength`: weight of the mask (1).
`area_to_mask_bounds`: see only the box around the mask. `start_percent`, `end_percent`: the part of the sampling, by
timesteps, during which the prompt is active.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from diffusion.errors import DiffusionError
from diffusion.sampling.discrete import DiscreteSchedule
from diffusion.sampling.mask import fit_mask, scaled_mask
from diffusion.values import CondEntry

FEATHER = 8
"""Over how many latent pixels an area without a mask fades at edges that lie inside the picture."""

_GUIDING = frozenset(
    ("area", "strength", "mask", "mask_strength", "area_to_mask_bounds", "start_percent", "end_percent", "control",
     "control_both")
)  # fmt: skip
"""Options that say where, when and by what a prompt is guided; the others tell the model something."""

Box = tuple[int, int, int, int]
"""Top, left, height, width, in latent pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """The part of the latent that a prompt sees, its weight there, and the noise levels at which it is active."""

    box: Box
    weight: Tensor | float
    """A number, or `[B or 1, 1, height, width]` on the model's device."""
    everywhere: bool
    """Sees the whole latent with one weight; alone on its side, it decides."""
    start_sigma: float = math.inf
    end_sigma: float = 0.0

    def active(self, sigma: float) -> bool:
        return self.end_sigma <= sigma <= self.start_sigma

    def crop(self, x: Tensor) -> Tensor:
        """The piece of `x` that the prompt sees, as a view."""
        if self.everywhere:
            return x
        top, left, height, width = self.box
        return x[:, :, top : top + height, left : left + width]


def region_of(
    options: Mapping[str, object], shape: torch.Size, levels: DiscreteSchedule, device: torch.device, input: str
) -> Region:
    """Read a prompt's options for latents of `shape`. Raises `DiffusionError` for an area outside the picture; one that
    reaches over the edge is cut."""
    height, width = shape[-2:]
    whole = (0, 0, height, width)
    box = seen_box(options, shape, input) or whole
    strength = _number(options, "strength", 1.0)
    mask = options.get("mask")
    weight: Tensor | float = strength
    if isinstance(mask, Tensor):
        fitted = fit_mask(mask, shape)
        top, left, tall, wide = box
        weight = fitted[:, :, top : top + tall, left : left + wide].to(device)
        weight = weight * (_number(options, "mask_strength", 1.0) * strength)
    elif box != whole:
        weight = _feathered(box, height, width).to(device) * strength
    return Region(
        box,
        weight,
        everywhere=isinstance(weight, float) and weight != 0.0,
        start_sigma=levels.percent_to_sigma(_number(options, "start_percent", 0.0)),
        end_sigma=levels.percent_to_sigma(_number(options, "end_percent", 1.0)),
    )


def with_matching_areas(
    entries: Sequence[CondEntry], others: Sequence[CondEntry], shape: torch.Size
) -> list[CondEntry]:
    """`entries`, and for each area that `others` have and these lack, a copy for it of the entry that covers it.

    Guidance compares both sides in the same piece of the picture, so each area needs its opposite there: the prompt of
    the smallest area around it, or else of the first entry without an area. What else the model is told, such as the
    sizes of SDXL, stays with the prompt.
    """
    matched = list(entries)
    for other in others:
        box = seen_box(other.options, shape, "positive")
        if box is None:
            continue
        places = [(seen_box(entry.options, shape, "negative"), entry) for entry in matched]
        around = [(place[2] * place[3], place, entry) for place, entry in places if place and _inside(box, place)]
        if around:
            _, place, source = min(around, key=lambda found: found[0])
        else:
            place, source = next((found for found in places if found[0] is None), (box, other))
        if place != box:
            told = {name: value for name, value in source.options.items() if name not in _GUIDING}
            guided = {name: value for name, value in other.options.items() if name in _GUIDING}
            matched.append(CondEntry(source.embedding, source.pooled, told | guided))
    return matched


def _inside(inner: Box, outer: Box) -> bool:
    top, left, tall, wide = inner
    return (
        outer[0] <= top
        and outer[1] <= left
        and top + tall <= outer[0] + outer[2]
        and left + wide <= outer[1] + outer[3]
    )


def _number(options: Mapping[str, object], name: str, default: float) -> float:
    value = options.get(name, default)
    if not isinstance(value, int | float):
        raise DiffusionError(f"A conditioning's {name} must be a number, not {value!r}.", code="bad_conditioning")
    return float(value)


def seen_box(options: Mapping[str, object], shape: torch.Size, input: str) -> Box | None:
    """The piece of the latent that a prompt sees: the box around its mask, or its area; None for all of it."""
    mask = options.get("mask")
    if isinstance(mask, Tensor) and options.get("area_to_mask_bounds"):
        return _bounds(scaled_mask(mask, shape))
    return area_box(options, shape, input)


def area_box(options: Mapping[str, object], shape: torch.Size, input: str) -> Box | None:
    """The box of an `area` option, or None without one. Raises `DiffusionError` when it lies outside the picture."""
    area = options.get("area")
    height, width = shape[-2:]
    if area is None:
        return None
    if not isinstance(area, tuple):
        raise DiffusionError(f"An area must be a tuple, not {area!r}.", input=input, code="bad_area")
    if area[0] == "percentage":
        tall, wide = max(1, round(area[1] * height)), max(1, round(area[2] * width))
        top, left = round(area[3] * height), round(area[4] * width)
    else:
        tall, wide, top, left = (int(part) for part in area)
    if not (0 <= top < height and 0 <= left < width and tall > 0 and wide > 0):
        raise DiffusionError(
            f"The area at x={left * 8}, y={top * 8}, {wide * 8} by {tall * 8} pixels, lies outside the picture of "
            f"{width * 8} by {height * 8}.",
            input=input,
            code="bad_area",
        )
    return top, left, min(tall, height - top), min(wide, width - left)


def _bounds(mask: Tensor) -> Box:
    """The box around all that isn't 0, at least 8 by 8 where there is room."""
    height, width = mask.shape[-2:]
    filled = mask.abs().amax(dim=(0, 1)) > 0
    if not bool(filled.any()):
        return 0, 0, min(8, height), min(8, width)
    rows, columns = filled.any(dim=1).nonzero(), filled.any(dim=0).nonzero()
    top, left = int(rows[0]), int(columns[0])
    tall, wide = max(8, int(rows[-1]) - top + 1), max(8, int(columns[-1]) - left + 1)
    return top, left, min(tall, height - top), min(wide, width - left)


def _feathered(box: Box, height: int, width: int) -> Tensor:
    """Weights `[1,1,h,w]` of an area: 1, fading in steps of 1/n at edges inside the picture."""
    top, left, tall, wide = box
    down = _fade(tall, top > 0, top + tall < height)
    across = _fade(wide, left > 0, left + wide < width)
    return (down[:, None] * across[None, :])[None, None]


def _fade(length: int, at_start: bool, at_end: bool) -> Tensor:
    weights = torch.ones(length)
    count = min(FEATHER, length // 4)
    ramp = torch.arange(1, count + 1) / max(count, 1)
    if at_start:
        weights[:count] *= ramp
    if at_end:
        weights[length - count :] *= ramp.flip(0)
    return weights
