"""Nodes that combine prompts, and say where and when each has a say."""

from __future__ import annotations

from typing import Annotated, Literal

from diffusion.values import Conditioning
from nodes.sdk import Help, Label, Mask, Range, node

_CATEGORY = "conditioning"
_STRENGTH = Help("How much the prompt weighs beside the others that see the same place.")
_MAX = 16384


@node(title="Combine prompts", category=_CATEGORY)
def ConditioningCombine(conditioning_1: Conditioning, conditioning_2: Conditioning) -> Conditioning:
    """Lets two prompts guide a picture together: the model is asked for each, and the answers are averaged.

    Give the prompts areas or masks first, to put each in its own place.
    """
    from diffusion.conditioning import combine

    return combine(conditioning_1, conditioning_2)


@node(title="Join prompts", category=_CATEGORY)
def ConditioningConcat(
    conditioning_to: Annotated[Conditioning, Label("to"), Help("The prompt that comes first and keeps its options.")],
    conditioning_from: Annotated[Conditioning, Label("from"), Help("The prompt whose tokens follow.")],
) -> Conditioning:
    """Writes one prompt after another, as one long prompt whose parts were encoded apart."""
    from diffusion.conditioning import concat

    return concat(conditioning_to, conditioning_from)


@node(title="Average prompts", category=_CATEGORY)
def ConditioningAverage(
    conditioning_to: Annotated[Conditioning, Label("to")],
    conditioning_from: Annotated[Conditioning, Label("from")],
    conditioning_to_strength: Annotated[
        float,
        Range(0.0, 1.0, 0.01, slider=True),
        Label("strength of to"),
        Help("1 is all the first prompt, 0 all the second, 0.5 halfway between."),
    ] = 1.0,
) -> Conditioning:
    """Mixes two prompts into one that means something between them. The second is cut, or filled up with zeros, to the
    length of the first."""
    from diffusion.conditioning import average

    return average(conditioning_to, conditioning_from, conditioning_to_strength)


@node(title="Set prompt area", category=_CATEGORY)
def ConditioningSetArea(
    conditioning: Conditioning,
    width: Annotated[int, Range(64, _MAX, 8), Help("In pixels.")] = 64,
    height: Annotated[int, Range(64, _MAX, 8), Help("In pixels.")] = 64,
    x: Annotated[int, Range(0, _MAX, 8), Help("The left edge, in pixels.")] = 0,
    y: Annotated[int, Range(0, _MAX, 8), Help("The upper edge, in pixels.")] = 0,
    strength: Annotated[float, Range(0.0, 10.0, 0.01), _STRENGTH] = 1.0,
) -> Conditioning:
    """Limits a prompt to a rectangle of the picture, given in pixels. Its edges fade into the rest.

    Combine it with a prompt for the whole picture, so that every place has one.
    """
    from diffusion.conditioning import area_in_pixels, with_options

    area = area_in_pixels(width, height, x, y)
    return with_options(conditioning, {"area": area, "strength": strength, "area_to_mask_bounds": False})


@node(title="Set prompt area (in parts)", category=_CATEGORY)
def ConditioningSetAreaPercentage(
    conditioning: Conditioning,
    width: Annotated[float, Range(0.0, 1.0, 0.01), Help("As a part of the picture's width.")] = 1.0,
    height: Annotated[float, Range(0.0, 1.0, 0.01), Help("As a part of the picture's height.")] = 1.0,
    x: Annotated[float, Range(0.0, 1.0, 0.01), Help("The left edge, as a part of the width.")] = 0.0,
    y: Annotated[float, Range(0.0, 1.0, 0.01), Help("The upper edge, as a part of the height.")] = 0.0,
    strength: Annotated[float, Range(0.0, 10.0, 0.01), _STRENGTH] = 1.0,
) -> Conditioning:
    """Limits a prompt to a rectangle of the picture, given in parts of its size, so that it fits any size."""
    from diffusion.conditioning import with_options

    area = ("percentage", height, width, y, x)
    return with_options(conditioning, {"area": area, "strength": strength, "area_to_mask_bounds": False})


@node(title="Set prompt strength", category=_CATEGORY)
def ConditioningSetAreaStrength(
    conditioning: Conditioning,
    strength: Annotated[float, Range(0.0, 10.0, 0.01), _STRENGTH] = 1.0,
) -> Conditioning:
    """Sets how much a prompt weighs beside the others it is combined with. Alone, it changes nothing."""
    from diffusion.conditioning import with_options

    return with_options(conditioning, {"strength": strength})


@node(title="Set prompt mask", category=_CATEGORY)
def ConditioningSetMask(
    conditioning: Conditioning,
    mask: Annotated[Mask, Help("1 where the prompt has its full say, 0 where it has none. Any size.")],
    strength: Annotated[float, Range(0.0, 10.0, 0.01), _STRENGTH] = 1.0,
    set_cond_area: Annotated[
        Literal["default", "mask bounds"],
        Label("model sees"),
        Help("default: the whole picture; mask bounds: only the box around the mask, which is faster."),
    ] = "default",
) -> Conditioning:
    """Limits a prompt to a mask."""
    from diffusion.conditioning import with_mask

    return with_mask(conditioning, mask, strength, to_bounds=set_cond_area != "default")


@node(title="Set prompt time", category=_CATEGORY)
def ConditioningSetTimestepRange(
    conditioning: Conditioning,
    start: Annotated[float, Range(0.0, 1.0, 0.001), Help("0 is the first step, where the composition is made.")] = 0.0,
    end: Annotated[float, Range(0.0, 1.0, 0.001), Help("1 is the last step, where the details are made.")] = 1.0,
) -> Conditioning:
    """Limits a prompt to a part of the sampling. Combine prompts of different times to change the subject on the
    way."""
    from diffusion.conditioning import with_options

    return with_options(conditioning, {"start_percent": start, "end_percent": end})


@node(title="Zero out prompt", category=_CATEGORY)
def ConditioningZeroOut(conditioning: Conditioning) -> Conditioning:
    """Replaces a prompt with zeros of the same length: no prompt at all, which is not the same as an empty one."""
    from diffusion.conditioning import zero_out

    return zero_out(conditioning)
