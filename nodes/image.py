"""Nodes that bring pictures into a graph and scale them."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from diffusion.errors import blaming
from nodes.sdk import Choices, Context, Help, Image, InputImage, Label, Mask, Range, node

_METHODS = ("nearest-exact", "bilinear", "area", "bicubic", "lanczos")
_METHOD_HELP = "lanczos is the sharpest, area the best for making smaller, nearest-exact keeps pixels hard."
_CROP_HELP = "center cuts to the new proportions first; disabled stretches."
_SIDE_HELP = "In pixels. 0 keeps the proportions."


class LoadedImage(NamedTuple):
    IMAGE: Image
    MASK: Mask


@node(title="Load picture", category="image", aliases=("LoadImageOutput",), version=2)
def LoadImage(
    context: Context,
    image: Annotated[str, InputImage(), Help("Choose a picture, or drop one here.")],
) -> LoadedImage:
    """Loads a picture from the inputs folder: PNG, JPEG, WebP, GIF, BMP, TIFF and others. With ` [output]` behind its
    name it is one of the output folder.

    MASK is 1 where the picture is transparent. The camera's rotation is applied, and an animation gives a batch.
    """
    from diffusion.images import load_image

    with blaming("image"):
        return LoadedImage(*load_image(context.input_file(image), image))


@node(title="Upscale", category="image/scale")
def Upscale(
    image: Image,
    upscale_method: Annotated[str, Choices(_METHODS), Label("method"), Help(_METHOD_HELP)] = "lanczos",
    mode: Annotated[
        Literal["factor", "size"], Help("factor multiplies both sides; size sets width and height.")
    ] = "factor",
    scale_by: Annotated[float, Range(0.01, 8.0, 0.01), Label("factor"), Help("Used when the mode is factor.")] = 2.0,
    width: Annotated[int, Range(0, 16384), Help(f"Used when the mode is size. {_SIDE_HELP}")] = 512,
    height: Annotated[int, Range(0, 16384), Help(f"Used when the mode is size. {_SIDE_HELP}")] = 512,
    crop: Annotated[str, Choices(("disabled", "center")), Help(f"Used when the mode is size: {_CROP_HELP}")] = (
        "disabled"
    ),
) -> Image:
    """Makes pictures larger or smaller, by a factor or to a size in pixels."""
    from diffusion.images import resize, resize_by

    if mode == "factor":
        return resize_by(image, scale_by, upscale_method)
    return resize(image, width, height, upscale_method, crop)


@node(title="Scale picture", category="image/scale")
def ImageScale(
    image: Image,
    upscale_method: Annotated[str, Choices(_METHODS), Label("method"), Help(_METHOD_HELP)] = "nearest-exact",
    width: Annotated[int, Range(0, 16384), Help(_SIDE_HELP)] = 512,
    height: Annotated[int, Range(0, 16384), Help(_SIDE_HELP)] = 512,
    crop: Annotated[str, Choices(("disabled", "center")), Help(_CROP_HELP)] = "disabled",
) -> Image:
    """Scales pictures to a size in pixels."""
    from diffusion.images import resize

    return resize(image, width, height, upscale_method, crop)


@node(title="Scale picture by", category="image/scale")
def ImageScaleBy(
    image: Image,
    upscale_method: Annotated[str, Choices(_METHODS), Label("method"), Help(_METHOD_HELP)] = "nearest-exact",
    scale_by: Annotated[float, Range(0.01, 8.0, 0.01), Label("factor"), Help("2 doubles both sides.")] = 1.0,
) -> Image:
    """Scales pictures by a factor."""
    from diffusion.images import resize_by

    return resize_by(image, scale_by, upscale_method)
