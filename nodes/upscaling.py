"""Nodes that enlarge pictures by a network made for it."""

from __future__ import annotations

from typing import Annotated

from diffusion.errors import blaming
from diffusion.values import UpscaleModelRef
from nodes.sdk import Context, Help, Image, Label, ModelFile, node


@node(title="Load upscale model", category="loaders")
def UpscaleModelLoader(
    context: Context,
    model_name: Annotated[
        str, ModelFile("upscale_models"), Label("upscale model"), Help("A file from models/upscale_models.")
    ],
) -> UpscaleModelRef:
    """Opens a network that enlarges pictures: ESRGAN, SwinIR, HAT, DAT and many more, told by what is in the file."""
    with blaming("model_name"):
        return UpscaleModelRef(context.model_file("upscale_models", model_name))


@node(title="Upscale with model", category="image/scale")
def ImageUpscaleWithModel(
    context: Context,
    upscale_model: Annotated[UpscaleModelRef, Help("The network; it sets the factor, often 2 or 4.")],
    image: Annotated[Image, Help("One picture or a batch.")],
) -> Image:
    """Enlarges pictures by a network, which draws in the detail that plain scaling lacks.

    Large pictures go through in tiles whose seams are blended; the tiles become smaller when memory is short.
    """
    from diffusion.upscale import upscale

    net = context.residency.upscaler(upscale_model)

    def report(done: int, total: int) -> None:
        context.check_cancelled()
        if done:
            context.progress(done, total)

    return upscale(net, image, report)
