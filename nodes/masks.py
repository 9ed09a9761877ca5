"""Nodes that make masks and change them. A mask is 1 where something may happen and 0 where it may not."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from diffusion.errors import blaming
from nodes.output.png import encode_png
from nodes.sdk import Context, Help, Image, InputImage, Label, Mask, Range, node

_COLOUR = "As one number: 65536 × red + 256 × green + blue, each 0 to 255. 16711680 is red, 65280 green, 255 blue."


@node(title="Load mask", category="mask")
def LoadImageMask(
    context: Context,
    image: Annotated[str, InputImage(), Help("Choose a picture, or drop one here.")],
    channel: Annotated[
        Literal["alpha", "red", "green", "blue"],
        Help("alpha gives 1 where the picture is transparent; a colour gives 1 where it is brightest."),
    ] = "alpha",
) -> Mask:
    """Loads one channel of a picture from the inputs folder as a mask."""
    from diffusion.images import load_image
    from diffusion.ops.masks import from_file

    with blaming("image"):
        return from_file(*load_image(context.input_file(image), image, keyed=True), channel)


@node(title="Mask from picture", category="mask")
def ImageToMask(
    image: Image,
    channel: Annotated[
        Literal["red", "green", "blue", "alpha"], Help("For a grey picture any colour gives the same.")
    ] = "red",
) -> Mask:
    """Makes a mask of one channel of a picture: 1 where the channel is brightest."""
    from diffusion.ops.masks import from_channel

    return from_channel(image, channel)


@node(title="Picture from mask", category="mask")
def MaskToImage(mask: Mask) -> Image:
    """Makes a grey picture of a mask, to look at it or to filter it."""
    from diffusion.ops.masks import to_image

    return to_image(mask)


@node(title="Mask from colour", category="mask")
def ImageColorToMask(
    image: Image,
    color: Annotated[int, Range(0, 0xFFFFFF), Label("colour"), Help(_COLOUR)] = 0,
) -> Mask:
    """Makes a mask that is 1 where a picture has exactly one colour."""
    from diffusion.ops.masks import from_colour

    return from_colour(image, color)


@node(title="Solid mask", category="mask")
def SolidMask(
    value: Annotated[float, Range(0, 1, 0.01), Help("The same for every pixel.")] = 1.0,
    width: Annotated[int, Range(1, 16384)] = 512,
    height: Annotated[int, Range(1, 16384)] = 512,
) -> Mask:
    """Makes a mask that has the same value everywhere."""
    from diffusion.ops.masks import solid

    return solid(value, width, height)


@node(title="Invert mask", category="mask")
def InvertMask(mask: Mask) -> Mask:
    """Swaps what is masked and what is not: 1 − mask."""
    from diffusion.ops.masks import invert

    return invert(mask)


@node(title="Crop mask", category="mask")
def CropMask(
    mask: Mask,
    x: Annotated[int, Range(0, 16384), Help("Of the left edge.")] = 0,
    y: Annotated[int, Range(0, 16384), Help("Of the top edge.")] = 0,
    width: Annotated[int, Range(1, 16384)] = 512,
    height: Annotated[int, Range(1, 16384)] = 512,
) -> Mask:
    """Cuts a rectangle out of a mask. It ends where the mask ends."""
    from diffusion.ops.masks import crop

    return crop(mask, x, y, width, height)


@node(title="Combine masks", category="mask", version=2)
def MaskComposite(
    destination: Annotated[Mask, Help("The mask to change.")],
    source: Annotated[Mask, Help("The mask to combine it with. What sticks out is cut off.")],
    x: Annotated[int, Range(0, 16384), Help("Where the left edge of the source lies.")] = 0,
    y: Annotated[int, Range(0, 16384), Help("Where the top edge of the source lies.")] = 0,
    operation: Annotated[
        Literal["multiply", "add", "subtract", "and", "or", "xor"],
        Help("multiply and `and` keep what both have, add and `or` what either has, subtract takes the source away."),
    ] = "multiply",
) -> Mask:
    """Combines two masks where the second lies on the first; elsewhere the first stays as it is."""
    from diffusion.ops.masks import composite

    return composite(destination, source, x, y, operation)


@node(title="Feather mask", category="mask")
def FeatherMask(
    mask: Mask,
    left: Annotated[int, Range(0, 16384), Help("Width of the fade in pixels.")] = 0,
    top: Annotated[int, Range(0, 16384), Help("Height of the fade in pixels.")] = 0,
    right: Annotated[int, Range(0, 16384), Help("Width of the fade in pixels.")] = 0,
    bottom: Annotated[int, Range(0, 16384), Help("Height of the fade in pixels.")] = 0,
) -> Mask:
    """Fades a mask out towards its sides."""
    from diffusion.ops.masks import feather

    return feather(mask, left, top, right, bottom)


@node(title="Grow mask", category="mask")
def GrowMask(
    mask: Mask,
    expand: Annotated[int, Range(-16384, 16384), Help("In pixels; below 0 the mask shrinks.")] = 0,
    tapered_corners: Annotated[bool, Help("Grow like a diamond, with cut corners; otherwise like a square.")] = True,
) -> Mask:
    """Makes the masked part larger or smaller.

    A mask a little larger than the object hides the seam of an inpainting.
    """
    from diffusion.ops.masks import grow

    return grow(mask, expand, tapered=tapered_corners)


@node(title="Threshold mask", category="mask")
def ThresholdMask(
    mask: Mask,
    value: Annotated[float, Range(0, 1, 0.01), Help("Values above it become 1, the others 0.")] = 0.5,
) -> Mask:
    """Makes a hard mask of a soft one."""
    from diffusion.ops.masks import threshold

    return threshold(mask, value)


@node(title="Preview mask", category="mask", output=True)
def MaskPreview(context: Context, mask: Mask) -> None:
    """Shows a mask on the node: white is 1, black is 0. The files are in a folder that is emptied now and then."""
    from diffusion.images import to_pil
    from diffusion.ops.masks import to_image

    for picture in to_image(mask):
        context.check_cancelled()
        reserved = context.reserve_output("mask", ".png", temporary=True)
        height, width, _ = picture.shape
        reserved.path.write_bytes(encode_png(to_pil(picture), context.document, context.prompt, context.node_id))
        context.publish(replace(reserved.file, width=width, height=height))
