"""Nodes that filter pictures: blur, sharpen, reduce colours, find edges."""

from __future__ import annotations

from typing import Annotated, Literal

from nodes.sdk import Help, Image, Range, node

_SIGMA = "How evenly the pixels within the radius count: small values favour the middle."


@node(title="Blur picture", category="image/effects")
def ImageBlur(
    image: Image,
    blur_radius: Annotated[int, Range(1, 31), Help("How many pixels away a pixel still has an influence.")] = 1,
    sigma: Annotated[float, Range(0.1, 10.0, 0.1), Help(_SIGMA)] = 1.0,
) -> Image:
    """Blurs pictures evenly (Gaussian blur)."""
    from diffusion.ops.filters import blur

    return blur(image, blur_radius, sigma)


@node(title="Sharpen picture", category="image/effects")
def ImageSharpen(
    image: Image,
    sharpen_radius: Annotated[int, Range(1, 31), Help("Size in pixels of the detail to bring out.")] = 1,
    sigma: Annotated[float, Range(0.1, 10.0, 0.01), Help(_SIGMA)] = 1.0,
    alpha: Annotated[float, Range(0.0, 5.0, 0.01), Help("Strength: 0 changes nothing, 0.1 is a good start.")] = 1.0,
) -> Image:
    """Brings out the detail of pictures (unsharp masking)."""
    from diffusion.ops.filters import sharpen

    return sharpen(image, sharpen_radius, sigma, alpha)


@node(title="Reduce colours", category="image/effects")
def ImageQuantize(
    image: Image,
    colors: Annotated[int, Range(1, 256), Help("The most colours that a picture may have.")] = 256,
    dither: Annotated[
        Literal["none", "floyd-steinberg", "bayer-2", "bayer-4", "bayer-8", "bayer-16"],
        Help("How to imitate the colours that are missing: by scattered dots, or by a regular pattern of that size."),
    ] = "none",
) -> Image:
    """Draws pictures with few colours, for the look of old computers and posters."""
    from diffusion.ops.quantize import quantize

    return quantize(image, colors, dither)


@node(title="Canny edges", category="image/preprocessors")
def Canny(
    image: Image,
    low_threshold: Annotated[
        float, Range(0.01, 0.99, 0.01), Help("Edges weaker than this are dropped. Must not exceed the high threshold.")
    ] = 0.4,
    high_threshold: Annotated[
        float, Range(0.01, 0.99, 0.01), Help("Edges stronger than this are kept, with what is joined to them.")
    ] = 0.8,
) -> Image:
    """Draws the edges of pictures, white on black, as a Canny ControlNet wants them. Lower thresholds find more."""
    from diffusion.ops.canny import canny

    return canny(image, low_threshold, high_threshold)
