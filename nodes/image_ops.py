"""Nodes that make, batch, cut, pad and paste pictures."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from nodes.sdk import Choices, Help, Image, Label, Mask, Range, node

_METHODS = ("nearest-exact", "bilinear", "area", "bicubic", "lanczos")
_METHOD_HELP = "lanczos is the sharpest, area the best for making smaller, nearest-exact keeps pixels hard."
_COLOUR = "As one number: 65536 × red + 256 × green + blue, each 0 to 255. 16711680 is red, 16777215 white."
_BORDER = "Pixels to add on this side."


@node(title="Scale picture to megapixels", category="image/scale")
def ImageScaleToTotalPixels(
    image: Image,
    upscale_method: Annotated[str, Choices(_METHODS), Label("method"), Help(_METHOD_HELP)] = "nearest-exact",
    megapixels: Annotated[float, Range(0.01, 16.0, 0.01), Help("1 is 1024×1024 pixels; 0.25 is 512×512.")] = 1.0,
) -> Image:
    """Scales pictures to about so many pixels in all, in the same proportions."""
    from diffusion.ops.pictures import scale_to_megapixels

    return scale_to_megapixels(image, megapixels, upscale_method)


@node(title="Invert picture", category="image")
def ImageInvert(image: Image) -> Image:
    """Turns every colour into its opposite, as on a photographic negative."""
    from diffusion.ops.pictures import invert

    return invert(image)


@node(title="Empty picture", category="image")
def EmptyImage(
    width: Annotated[int, Range(1, 16384)] = 512,
    height: Annotated[int, Range(1, 16384)] = 512,
    batch_size: Annotated[int, Range(1, 4096), Help("How many pictures to make at once.")] = 1,
    color: Annotated[int, Range(0, 0xFFFFFF), Label("colour"), Help(_COLOUR)] = 0,
) -> Image:
    """Makes pictures of one colour."""
    from diffusion.ops.pictures import empty

    return empty(width, height, batch_size, color)


@node(title="Join pictures", category="image/batch")
def ImageBatch(
    image1: Image,
    image2: Annotated[Image, Help("Cropped and scaled to the size of the first, if it has another.")],
) -> Image:
    """Puts pictures together into one batch, so that the nodes that follow treat them alike."""
    from diffusion.ops.pictures import join

    return join(image1, image2)


@node(title="Rebatch pictures", category="image/batch")
def RebatchImages(
    images: Annotated[list[Image], Help("One batch, or several in a row.")],
    batch_size: Annotated[int, Range(1, 4096), Help("How many pictures each new batch has.")] = 1,
) -> list[Image]:
    """Divides batches into others of a given size. What follows runs once for each. Pictures of different sizes go
    into different batches."""
    from diffusion.ops.pictures import rebatch

    return rebatch(images, batch_size)


@node(title="Picture from batch", category="image/batch")
def ImageFromBatch(
    image: Image,
    batch_index: Annotated[int, Range(0, 4095), Help("Number of the first, from 0; past the end is the last.")] = 0,
    length: Annotated[int, Range(1, 4096), Help("How many pictures, or as many as there are.")] = 1,
) -> Image:
    """Takes pictures out of a batch."""
    from diffusion.ops.pictures import from_batch

    return from_batch(image, batch_index, length)


@node(title="Repeat picture batch", category="image/batch")
def RepeatImageBatch(
    image: Image,
    amount: Annotated[int, Range(1, 4096), Help("How often the whole batch is repeated.")] = 1,
) -> Image:
    """Repeats a batch of pictures."""
    from diffusion.ops.pictures import repeat

    return repeat(image, amount)


@node(title="Crop picture", category="image/transform")
def ImageCrop(
    image: Image,
    width: Annotated[int, Range(1, 16384)] = 512,
    height: Annotated[int, Range(1, 16384)] = 512,
    x: Annotated[int, Range(0, 16384), Help("Of the left edge.")] = 0,
    y: Annotated[int, Range(0, 16384), Help("Of the top edge.")] = 0,
) -> Image:
    """Cuts a rectangle out of a picture. It ends where the picture ends."""
    from diffusion.ops.pictures import crop

    return crop(image, width, height, x, y)


class PaddedPicture(NamedTuple):
    IMAGE: Image
    MASK: Mask


@node(title="Pad picture for outpainting", category="image")
def ImagePadForOutpaint(
    image: Image,
    left: Annotated[int, Range(0, 16384, 8), Help(_BORDER)] = 0,
    top: Annotated[int, Range(0, 16384, 8), Help(_BORDER)] = 0,
    right: Annotated[int, Range(0, 16384, 8), Help(_BORDER)] = 0,
    bottom: Annotated[int, Range(0, 16384, 8), Help(_BORDER)] = 0,
    feathering: Annotated[
        int, Range(0, 16384), Help("Pixels of the picture, next to a border, that may be drawn anew in part.")
    ] = 40,
) -> PaddedPicture:
    """Adds grey borders to a picture, and a mask of them, so that a sampler can draw what lies beyond its edges."""
    from diffusion.ops.pictures import pad_for_outpaint

    return PaddedPicture(*pad_for_outpaint(image, left, top, right, bottom, feathering))


@node(title="Paste picture", category="image")
def ImageCompositeMasked(
    destination: Annotated[Image, Help("The picture that lies below.")],
    source: Annotated[Image, Help("The picture to lay over it. What sticks out is cut off.")],
    x: Annotated[int, Range(0, 16384), Help("Where the left edge of the source lies.")] = 0,
    y: Annotated[int, Range(0, 16384), Help("Where the top edge of the source lies.")] = 0,
    resize_source: Annotated[bool, Help("First scale the source to the size of the destination.")] = False,
    mask: Annotated[
        Mask | None, Help("1 where the source covers the destination; it is scaled to the source. Empty covers all.")
    ] = None,
) -> Image:
    """Lays one picture over a part of another, as far as a mask says."""
    from diffusion.ops.pictures import composite

    return composite(destination, source, x, y, resize_source=resize_source, mask=mask)


@node(title="Blend pictures", category="image/effects")
def ImageBlend(
    image1: Image,
    image2: Annotated[Image, Help("Cropped and scaled to the size of the first, if it has another.")],
    blend_factor: Annotated[float, Range(0, 1, 0.01), Help("0 is only the first picture, 1 the whole blend.")] = 0.5,
    blend_mode: Annotated[
        Literal["normal", "multiply", "screen", "overlay", "soft_light", "difference"],
        Help("multiply darkens, screen brightens, overlay and soft_light add contrast, difference subtracts."),
    ] = "normal",
) -> Image:
    """Mixes two pictures pixel by pixel."""
    from diffusion.ops.blending import blend

    return blend(image1, image2, blend_factor, blend_mode)
