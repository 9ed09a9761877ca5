"""Nodes that lay pictures with alpha over each other, and take the alpha apart from them."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from nodes.sdk import Help, Image, Mask, node

_CATEGORY = "mask/compositing"


class PictureAndMask(NamedTuple):
    IMAGE: Image
    MASK: Mask


@node(title="Composite pictures (Porter-Duff)", category=_CATEGORY)
def PorterDuffImageComposite(
    source: Annotated[Image, Help("The picture that lies above; cropped and scaled to the destination.")],
    source_alpha: Annotated[Mask, Help("1 where the source is transparent.")],
    destination: Annotated[Image, Help("The picture that lies below.")],
    destination_alpha: Annotated[Mask, Help("1 where the destination is transparent.")],
    mode: Annotated[
        Literal[
            "ADD", "CLEAR", "DARKEN", "DST", "DST_ATOP", "DST_IN", "DST_OUT", "DST_OVER", "LIGHTEN", "MULTIPLY",
            "OVERLAY", "SCREEN", "SRC", "SRC_ATOP", "SRC_IN", "SRC_OUT", "SRC_OVER", "XOR",
        ],
        Help("SRC_OVER lays the source over the destination; the others keep other parts of both, or blend them."),
    ] = "DST",
) -> PictureAndMask:  # fmt: skip
    """Puts two pictures with transparency together by one of the rules of Porter and Duff. The mask that comes out is 1
    where the result is transparent."""
    from diffusion.ops.compositing import porter_duff

    return PictureAndMask(*porter_duff(source, source_alpha, destination, destination_alpha, mode))


@node(title="Split picture and alpha", category=_CATEGORY)
def SplitImageWithAlpha(image: Image) -> PictureAndMask:
    """Takes the transparency off a picture. The mask is 1 where the picture was transparent."""
    from diffusion.ops.transforms import split_alpha

    return PictureAndMask(*split_alpha(image))


@node(title="Join picture and alpha", category=_CATEGORY)
def JoinImageWithAlpha(
    image: Image,
    alpha: Annotated[Mask, Help("1 where the picture shall be transparent; it is scaled to the picture.")],
) -> Image:
    """Makes a picture transparent where a mask says. Of batches, there are as many as in the smaller."""
    from diffusion.ops.transforms import join_alpha

    return join_alpha(image, alpha)
