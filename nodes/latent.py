"""Nodes that make and change latents: pictures in the form that the sampler works on, one cell for 8×8 pixels."""

from __future__ import annotations

from typing import Annotated, Any

from diffusion.errors import blaming
from diffusion.values import Latent, VaeRef
from nodes.sdk import Choices, Context, Help, Image, InputFile, Label, Range, node

_METHODS = ("nearest-exact", "bilinear", "area", "bicubic", "bislerp")
_METHOD_HELP = "How values between cells are found. bislerp keeps contrast; nearest-exact keeps edges hard."


@node(title="Empty latent", category="latent", aliases=("EmptyLatentImage",))
def EmptyLatent(
    width: Annotated[int, Range(16, 16384, 8, multiple=True), Help("In pixels, a multiple of 8.")] = 512,
    height: Annotated[int, Range(16, 16384, 8, multiple=True), Help("In pixels, a multiple of 8.")] = 512,
    batch_size: Annotated[int, Range(1, 4096), Help("How many pictures to make at once.")] = 1,
) -> Latent:
    """An empty canvas for a sampler to fill: it sets the size of the picture and how many to make.

    Models draw best near the size they were trained on: 512 for Stable Diffusion 1.5, 128 for Storybook Tiny. A size
    that comes by a link is rounded down to a multiple of 8.
    """
    from diffusion.latents import empty

    return empty(width, height, batch_size)


@node(title="Encode picture (VAE)", category="latent")
def VAEEncode(
    context: Context,
    pixels: Annotated[Image, Help("The picture to start from.")],
    vae: Annotated[VaeRef, Help("The VAE of the checkpoint that will sample.")],
) -> Latent:
    """Turns a picture into a latent, for a sampler to start from (image to image).

    A side that is no multiple of 8 pixels is cropped evenly on both ends.
    """
    from diffusion.vae import encode

    return encode(context.residency.vae(vae), pixels)


@node(title="Decode latent (VAE)", category="latent")
def VAEDecode(
    context: Context,
    samples: Annotated[Latent, Help("What a sampler made.")],
    vae: Annotated[VaeRef, Help("The VAE of the checkpoint that sampled.")],
) -> Image:
    """Turns a latent into a picture."""
    from diffusion.vae import decode

    return decode(context.residency.vae(vae), samples)


@node(title="Scale latent", category="latent")
def LatentUpscale(
    samples: Latent,
    upscale_method: Annotated[str, Choices(_METHODS), Label("method"), Help(_METHOD_HELP)] = "nearest-exact",
    width: Annotated[int, Range(0, 16384, 8), Help("In pixels. 0 keeps the proportions.")] = 512,
    height: Annotated[int, Range(0, 16384, 8), Help("In pixels. 0 keeps the proportions.")] = 512,
    crop: Annotated[
        str, Choices(("disabled", "center")), Help("center cuts to the new proportions first; disabled stretches.")
    ] = "disabled",
) -> Latent:
    """Scales a latent to a size given in pixels.

    Sample it once more at a denoise of about 0.5 to draw detail in the new size.
    """
    from diffusion.latents import resize

    return resize(samples, width, height, upscale_method, crop)


@node(title="Scale latent by", category="latent")
def LatentUpscaleBy(
    samples: Latent,
    upscale_method: Annotated[str, Choices(_METHODS), Label("method"), Help(_METHOD_HELP)] = "nearest-exact",
    scale_by: Annotated[float, Range(0.01, 8.0, 0.01), Help("1.5 makes both sides half as long again.")] = 1.5,
) -> Latent:
    """Scales a latent by a factor.

    Sample it once more at a denoise of about 0.5 to draw detail in the new size (hires fix).
    """
    from diffusion.latents import resize_by

    return resize_by(samples, scale_by, upscale_method)


@node(title="Save latent", category="latent", output=True)
def SaveLatent(
    context: Context,
    samples: Latent,
    filename_prefix: Annotated[str, Help("May hold folders, and the tokens that *Save picture* knows.")] = (
        "latents/latentgraph"
    ),
) -> None:
    """Writes a latent to a file in the output folder, for use in another run. ComfyUI reads such files too."""
    from dataclasses import replace
    from datetime import datetime

    from diffusion.latents import save
    from nodes.output.filenames import expand

    rows, columns = samples.samples.shape[-2:]
    prefix = expand(
        filename_prefix,
        context.prompt,
        datetime.now(),
        width=columns * 8,
        height=rows * 8,
        node_id=context.node_id,
    )
    with blaming("filename_prefix"):
        reserved = context.reserve_output(prefix, ".latent")
    metadata: dict[str, Any] = {"prompt": context.prompt, "workflow": context.document}
    save(samples, reserved.path, metadata)
    context.publish(replace(reserved.file, media="application/octet-stream"))


@node(title="Load latent", category="latent")
def LoadLatent(
    context: Context,
    latent: Annotated[str, InputFile((".latent",)), Help("A .latent file in the inputs folder.")],
) -> Latent:
    """Reads a latent that *Save latent* wrote, from the inputs folder."""
    from diffusion.latents import load

    with blaming("latent"):
        return load(context.input_file(latent))
