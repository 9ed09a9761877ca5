"""Nodes that filter pictures: blur, sharpen, add noise, reduce colours, take them apart, find edges."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from nodes.sdk import Help, Image, Range, Seed, node

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


@node(title="Reduce colours", category="image/effects", version=2)
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


@node(title="Add noise to picture", category="image/effects")
def ImageAddNoise(
    image: Image,
    seed: Annotated[int, Seed(), Help("The same seed gives the same noise.")] = 0,
    strength: Annotated[float, Range(0.0, 1.0, 0.01), Help("0 changes nothing; 0.05 looks like film grain.")] = 0.5,
) -> Image:
    """Adds coloured noise to pictures."""
    from diffusion.ops.filters import add_noise

    return add_noise(image, seed, strength)


@node(title="Morphology", category="image/effects")
def Morphology(
    image: Image,
    operation: Annotated[
        Literal["erode", "dilate", "open", "close", "gradient", "bottom_hat", "top_hat"],
        Help(
            "erode grows what is dark, dilate what is bright. open removes small bright spots, close small dark ones; "
            "top_hat and bottom_hat show what those would remove, gradient the edges."
        ),
    ] = "erode",
    kernel_size: Annotated[int, Range(3, 999), Help("Side in pixels of the square that is looked at.")] = 3,
) -> Image:
    """Makes bright and dark parts of pictures larger or smaller, as on line drawings and masks."""
    from diffusion.ops.morphology import change

    return change(image, operation, kernel_size)


class Planes(NamedTuple):
    Y: Image
    U: Image
    V: Image


@node(title="Picture to YUV", category="image/channels")
def ImageRGBToYUV(image: Image) -> Planes:
    """Takes pictures apart into three grey ones: brightness (Y), blueness (U) and redness (V)."""
    from diffusion.ops.colour import to_yuv

    return Planes(*to_yuv(image))


@node(title="Picture from YUV", category="image/channels")
def ImageYUVToRGB(
    Y: Annotated[Image, Help("Brightness.")],
    U: Annotated[Image, Help("Blueness: 0.5 is none.")],
    V: Annotated[Image, Help("Redness: 0.5 is none.")],
) -> Image:
    """Puts pictures together from brightness, blueness and redness."""
    from diffusion.ops.colour import from_yuv

    return from_yuv(Y, U, V)
