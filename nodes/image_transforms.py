"""Nodes that turn and mirror pictures, fit them into a size, and put them beside each other."""

from __future__ import annotations

from typing import Annotated, Literal

from nodes.sdk import Choices, Help, Image, Range, node

_CATEGORY = "image/transform"
_METHOD = Help("area is the best for making smaller, lanczos the sharpest, nearest-exact keeps pixels hard.")


@node(title="Rotate picture", category=_CATEGORY)
def ImageRotate(
    image: Image,
    rotation: Annotated[Literal["none", "90 degrees", "180 degrees", "270 degrees"], Help("Clockwise.")] = "none",
) -> Image:
    """Turns pictures by quarters, clockwise."""
    from diffusion.ops.transforms import rotate

    return rotate(image, {"none": 0, "90 degrees": 1, "180 degrees": 2, "270 degrees": 3}[rotation])


@node(title="Flip picture", category=_CATEGORY)
def ImageFlip(
    image: Image,
    flip_method: Annotated[
        Literal["x-axis: vertically", "y-axis: horizontally"],
        Help("vertically turns it upside down; horizontally swaps left and right."),
    ] = "x-axis: vertically",
) -> Image:
    """Mirrors pictures."""
    from diffusion.ops.transforms import flip

    return flip(image, vertically=flip_method.startswith("x"))


@node(title="Scale picture to longer side", category="image/scale")
def ImageScaleToMaxDimension(
    image: Image,
    upscale_method: Annotated[
        str, Choices(("area", "lanczos", "bilinear", "nearest-exact", "bicubic")), _METHOD
    ] = "area",
    largest_size: Annotated[int, Range(0, 16384), Help("Of the longer side, in pixels.")] = 512,
) -> Image:
    """Scales pictures until their longer side has a given length, in the same proportions."""
    from diffusion.ops.transforms import scale_to_side

    return scale_to_side(image, largest_size, upscale_method)


@node(title="Fit picture into size", category=_CATEGORY)
def ResizeAndPadImage(
    image: Image,
    target_width: Annotated[int, Range(1, 16384), Help("In pixels.")] = 512,
    target_height: Annotated[int, Range(1, 16384), Help("In pixels.")] = 512,
    padding_color: Annotated[Literal["white", "black"], Help("Of the borders.")] = "white",
    interpolation: Annotated[
        str, Choices(("area", "bicubic", "nearest-exact", "bilinear", "lanczos")), _METHOD
    ] = "area",
) -> Image:
    """Scales pictures to fit into a size as a whole, and fills what is left with borders."""
    from diffusion.ops.transforms import resize_and_pad

    return resize_and_pad(image, target_width, target_height, padding_color, interpolation)


@node(title="Stitch pictures", category=_CATEGORY)
def ImageStitch(
    image1: Image,
    direction: Annotated[
        Literal["right", "down", "left", "up"], Help("On which side of the first the second is put.")
    ] = "right",
    match_image_size: Annotated[
        bool, Help("Scale the second to the height or width of the first; otherwise the smaller is padded.")
    ] = True,
    spacing_width: Annotated[int, Range(0, 1024, 2), Help("Width in pixels of a bar between them.")] = 0,
    spacing_color: Annotated[
        Literal["white", "black", "red", "green", "blue"],
        Help("Of the bar. Padding is white with white, and black with any other."),
    ] = "white",
    image2: Annotated[Image | None, Help("Empty gives the first as it is.")] = None,
) -> Image:
    """Puts two pictures beside each other. Of batches, each picture gets its neighbour, and the last of the shorter
    batch is used for all that remain."""
    if image2 is None:
        return image1
    from diffusion.ops.transforms import stitch

    return stitch(image1, image2, direction, match=match_image_size, spacing=spacing_width, colour=spacing_color)
