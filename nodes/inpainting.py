"""Nodes for models that see a picture beside the noise: inpainting, editing by instruction, and upscaling."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from diffusion.values import Conditioning, Latent, VaeRef
from nodes.sdk import Context, Help, Image, Label, Mask, Range, node

_VAE = Help("The VAE of the checkpoint that will sample.")
_MASK = Help("1 where to paint, 0 where the picture stays. It is scaled to the picture.")


class Prepared(NamedTuple):
    positive: Conditioning
    negative: Conditioning
    latent: Latent


@node(title="Encode picture for inpainting (VAE)", category="latent/inpaint")
def VAEEncodeForInpaint(
    context: Context,
    pixels: Annotated[Image, Help("The picture to paint in.")],
    vae: Annotated[VaeRef, _VAE],
    mask: Annotated[Mask, _MASK],
    grow_mask_by: Annotated[
        int, Range(0, 64), Label("grow mask by"), Help("By how many pixels the painted part reaches over the mask.")
    ] = 6,
) -> Latent:
    """Turns a picture into a latent with grey in place of the masked part, which the sampler then paints anew.

    Sample it at a denoise of 1: nothing of what was under the mask is left. To keep some of it, use *Encode picture*
    and *Set latent noise mask*.
    """
    from diffusion.inpaint import encode_for_inpaint

    return encode_for_inpaint(context.residency.vae(vae), pixels, mask, grow_mask_by)


@node(title="Condition an inpainting model", category="conditioning/inpaint")
def InpaintModelConditioning(
    context: Context,
    positive: Annotated[Conditioning, Help("What to paint.")],
    negative: Annotated[Conditioning, Help("What not to paint.")],
    vae: Annotated[VaeRef, _VAE],
    pixels: Annotated[Image, Help("The picture to paint in.")],
    mask: Annotated[Mask, _MASK],
    noise_mask: Annotated[
        bool, Help("Hold everything outside of the mask still. Without it the model may change the picture around too.")
    ] = True,
) -> Prepared:
    """Shows a picture and a mask to a checkpoint that was trained for inpainting (its U-Net has 9 input channels)."""
    from diffusion.inpaint import inpaint_conditioning

    prepared = inpaint_conditioning(context.residency.vae(vae), positive, negative, pixels, mask, noise_mask=noise_mask)
    return Prepared(*prepared)


@node(title="Condition an editing model", category="conditioning/instructpix2pix")
def InstructPixToPixConditioning(
    context: Context,
    positive: Annotated[Conditioning, Help("The instruction: make it winter.")],
    negative: Annotated[Conditioning, Help("What the edit should not bring.")],
    vae: Annotated[VaeRef, _VAE],
    pixels: Annotated[Image, Help("The picture to edit.")],
) -> Prepared:
    """Shows a picture to a checkpoint that edits by instruction (instruct-pix2pix; its U-Net has 8 input channels)."""
    from diffusion.inpaint import edit_conditioning

    return Prepared(*edit_conditioning(context.residency.vae(vae), positive, negative, pixels))


@node(title="Condition the x4 upscaler", category="conditioning/upscale_diffusion")
def SD_4XUpscale_Conditioning(
    images: Annotated[Image, Help("The pictures to enlarge.")],
    positive: Annotated[Conditioning, Help("What the pictures show.")],
    negative: Annotated[Conditioning, Help("What they should not show.")],
    scale_ratio: Annotated[float, Range(0.0, 10.0, 0.01), Help("How many times as wide and high.")] = 4.0,
    noise_augmentation: Annotated[
        float,
        Range(0.0, 1.0, 0.001),
        Help("How much noise to add to the small picture first: with more, the model draws more of its own."),
    ] = 0.0,
) -> Prepared:
    """Shows a small picture to the Stable Diffusion x4 upscaler, which draws it again in four times the size.

    Decode the result with the VAE of the same checkpoint.
    """
    from diffusion.inpaint import upscale_conditioning

    return Prepared(*upscale_conditioning(images, positive, negative, scale_ratio, noise_augmentation))
