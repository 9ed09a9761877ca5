"""Nodes that paste, cut, turn and mix latents."""

from __future__ import annotations

from typing import Annotated, Literal

from diffusion.values import Latent
from nodes.sdk import Help, Mask, Range, node

_LEFT = "Of the left edge, in pixels; counted in steps of 8."
_TOP = "Of the top edge, in pixels; counted in steps of 8."


@node(title="Paste latent", category="latent")
def LatentComposite(
    samples_to: Annotated[Latent, Help("The latent that lies below.")],
    samples_from: Annotated[Latent, Help("The latent to lay over it. What sticks out is cut off.")],
    x: Annotated[int, Range(0, 16384, 8), Help(_LEFT)] = 0,
    y: Annotated[int, Range(0, 16384, 8), Help(_TOP)] = 0,
    feather: Annotated[int, Range(0, 16384, 8), Help("Width of the soft edge in pixels; 0 is a hard edge.")] = 0,
) -> Latent:
    """Lays one latent over a part of another, with a soft edge if you like.

    Sample the result again at a denoise of about 0.5 to make the parts grow together.
    """
    from diffusion.ops.latents import composite

    return composite(samples_to, samples_from, x, y, feather)


@node(title="Paste latent by mask", category="latent")
def LatentCompositeMasked(
    destination: Annotated[Latent, Help("The latent that lies below.")],
    source: Annotated[Latent, Help("The latent to lay over it. What sticks out is cut off.")],
    x: Annotated[int, Range(0, 16384, 8), Help(_LEFT)] = 0,
    y: Annotated[int, Range(0, 16384, 8), Help(_TOP)] = 0,
    resize_source: Annotated[bool, Help("First scale the source to the size of the destination.")] = False,
    mask: Annotated[
        Mask | None, Help("1 where the source covers the destination; it is scaled to the source. Empty covers all.")
    ] = None,
) -> Latent:
    """Lays one latent over a part of another, as far as a mask says."""
    from diffusion.ops.latents import composite_masked

    return composite_masked(destination, source, x, y, resize_source=resize_source, mask=mask)


@node(title="Blend latents", category="latent")
def LatentBlend(
    samples1: Latent,
    samples2: Annotated[Latent, Help("Cropped and scaled to the size of the first, if it has another.")],
    blend_factor: Annotated[float, Range(0, 1, 0.01), Help("1 is only the first, 0 only the second.")] = 0.5,
) -> Latent:
    """Mixes two latents cell by cell."""
    from diffusion.ops.latents import blend

    return blend(samples1, samples2, blend_factor)


@node(title="Crop latent", category="latent/transform", version=2)
def LatentCrop(
    samples: Latent,
    width: Annotated[int, Range(64, 16384, 8), Help("In pixels; counted in steps of 8.")] = 512,
    height: Annotated[int, Range(64, 16384, 8), Help("In pixels; counted in steps of 8.")] = 512,
    x: Annotated[int, Range(0, 16384, 8), Help(_LEFT)] = 0,
    y: Annotated[int, Range(0, 16384, 8), Help(_TOP)] = 0,
) -> Latent:
    """Cuts a rectangle out of a latent. It ends where the latent ends, and is at least 64 pixels wide and high."""
    from diffusion.ops.latents import crop

    return crop(samples, width, height, x, y)


@node(title="Rotate latent", category="latent/transform")
def LatentRotate(
    samples: Latent,
    rotation: Annotated[Literal["none", "90 degrees", "180 degrees", "270 degrees"], Help("Clockwise.")] = "none",
) -> Latent:
    """Turns a latent by quarters, clockwise.

    Models do not draw turned cells well: sample it again afterwards at a denoise of about 0.5.
    """
    from diffusion.ops.latents import rotate

    return rotate(samples, {"none": 0, "90 degrees": 1, "180 degrees": 2, "270 degrees": 3}[rotation])


@node(title="Flip latent", category="latent/transform")
def LatentFlip(
    samples: Latent,
    flip_method: Annotated[
        Literal["x-axis: vertically", "y-axis: horizontally"],
        Help("vertically turns it upside down; horizontally swaps left and right."),
    ] = "x-axis: vertically",
) -> Latent:
    """Mirrors a latent."""
    from diffusion.ops.latents import flip

    return flip(samples, vertically=flip_method.startswith("x"))


@node(title="Add latents", category="latent/advanced")
def LatentAdd(
    samples1: Latent,
    samples2: Annotated[Latent, Help("Fitted to the first, and repeated or cut to as many items.")],
) -> Latent:
    """Adds the numbers of two latents: samples1 + samples2."""
    from diffusion.ops.latents import add

    return add(samples1, samples2)


@node(title="Subtract latents", category="latent/advanced")
def LatentSubtract(
    samples1: Latent,
    samples2: Annotated[Latent, Help("Fitted to the first, and repeated or cut to as many items.")],
) -> Latent:
    """Subtracts the numbers of two latents: samples1 − samples2."""
    from diffusion.ops.latents import subtract

    return subtract(samples1, samples2)


@node(title="Multiply latent", category="latent/advanced")
def LatentMultiply(
    samples: Latent,
    multiplier: Annotated[float, Range(-10, 10, 0.01), Help("1 changes nothing; 0 gives an empty latent.")] = 1.0,
) -> Latent:
    """Multiplies the numbers of a latent. A little above 1 strengthens colour and contrast, below 1 weakens them."""
    from diffusion.ops.latents import multiply

    return multiply(samples, multiplier)


@node(title="Interpolate latents", category="latent/advanced", version=2)
def LatentInterpolate(
    samples1: Latent,
    samples2: Annotated[Latent, Help("Fitted to the first, and repeated or cut to as many items.")],
    ratio: Annotated[float, Range(0, 1, 0.01), Help("1 is only the first, 0 only the second.")] = 1.0,
) -> Latent:
    """Mixes two latents so that the mix keeps their strength, where *Blend latents* washes out."""
    from diffusion.ops.latents import interpolate_between

    return interpolate_between(samples1, samples2, ratio)


@node(title="Put latents beside each other", category="latent/advanced")
def LatentConcat(
    samples1: Latent,
    samples2: Annotated[Latent, Help("Repeated or cut to as many items as the first.")],
    dim: Annotated[
        Literal["x", "-x", "y", "-y", "t", "-t"],
        Help("x puts the second to the right, y below; with a minus, to the left or above. t joins channels."),
    ] = "x",
) -> Latent:
    """Joins two latents into a larger one."""
    from diffusion.ops.latents import concat

    return concat(samples1, samples2, dim)


@node(title="Cut latent", category="latent/advanced")
def LatentCut(
    samples: Latent,
    dim: Annotated[Literal["x", "y", "t"], Help("x takes columns, y rows, t channels.")] = "x",
    index: Annotated[
        int, Range(-16384, 16384), Help("The first cell of 8 pixels to take, from 0; below 0 counts from the end.")
    ] = 0,
    amount: Annotated[int, Range(1, 16384), Help("How many cells, or as many as there are.")] = 1,
) -> Latent:
    """Takes a strip out of a latent."""
    from diffusion.ops.latents import cut

    return cut(samples, dim, index, amount)


@node(title="Set noise mask", category="latent/inpaint")
def SetLatentNoiseMask(
    samples: Latent,
    mask: Annotated[Mask, Help("1 where the sampler may draw, 0 where the latent must stay.")],
) -> Latent:
    """Lets the sampler change only a part of a latent (inpainting). The mask is scaled to the latent."""
    from diffusion.ops.latents import set_noise_mask

    return set_noise_mask(samples, mask)
