"""Prepares pictures, masks and conditionings for models that see a picture beside the noise."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import conv2d, interpolate

from diffusion.autoencoder import Autoencoder
from diffusion.conditioning import with_options
from diffusion.errors import BadImage
from diffusion.images import crop_to_proportions
from diffusion.ops.latents import set_noise_mask
from diffusion.vae import encode
from diffusion.values import Conditioning, Latent

_GREY = 0.5
_UPSCALE = 4


def encode_for_inpaint(vae: Autoencoder, pixels: Tensor, mask: Tensor, grow: int) -> Latent:
    """IMAGE [B,H,W,C] and MASK [B,H,W] → the latent of the picture with grey in the masked part, and a noise mask that
    reaches `grow` pixels further, so that the seam is painted too."""
    fitted = _mask_like(mask, pixels)
    latent = encode(vae, _greyed(pixels, fitted))
    cut = _cut(fitted, pixels, vae.downscale)
    grown = cut
    if grow > 0:
        kernel = torch.ones(1, 1, grow, grow)
        grown = conv2d(cut.round(), kernel, padding=math.ceil((grow - 1) / 2)).clamp(0, 1)
    return set_noise_mask(latent, grown[:, :, : cut.shape[2], : cut.shape[3]].round())


def inpaint_conditioning(
    vae: Autoencoder, positive: Conditioning, negative: Conditioning, pixels: Tensor, mask: Tensor, *, noise_mask: bool
) -> tuple[Conditioning, Conditioning, Latent]:
    """What an inpainting model is given: the picture with its masked part grey, the mask, and the latent to begin at,
    which with `noise_mask` is held still outside of the mask."""
    fitted = _mask_like(mask, pixels)
    shown = encode(vae, _greyed(pixels, fitted)).samples
    latent = encode(vae, pixels)
    cut = _cut(fitted, pixels, vae.downscale)
    options = {"concat_latent": shown, "concat_mask": cut[:, 0]}
    if noise_mask:
        latent = set_noise_mask(latent, cut)
    return with_options(positive, options), with_options(negative, options), latent


def edit_conditioning(
    vae: Autoencoder, positive: Conditioning, negative: Conditioning, pixels: Tensor
) -> tuple[Conditioning, Conditioning, Latent]:
    """What an instruct-pix2pix model is given: the latent of the picture to edit, and an empty latent of its size."""
    shown = encode(vae, pixels).samples
    options = {"concat_latent": shown}
    return with_options(positive, options), with_options(negative, options), Latent(torch.zeros_like(shown))


def upscale_conditioning(
    images: Tensor, positive: Conditioning, negative: Conditioning, scale: float, noise: float
) -> tuple[Conditioning, Conditioning, Latent]:
    """What the x4 upscaler is given: the picture in a quarter of the size to make, how much noise to add to it (0 to
    1), and an empty latent, which for this model is of the picture's own size."""
    height, width = (max(1, round(side * scale)) // _UPSCALE for side in images.shape[1:3])
    if height < 1 or width < 1:
        raise BadImage("The picture to upscale is too small.", hint="Raise the scale ratio.", input="images")
    planes = images[..., :3].movedim(-1, 1).float() * 2 - 1
    cropped = crop_to_proportions(planes, width, height)
    shown = interpolate(cropped, size=(height, width), mode="bilinear")
    options = {"concat_image": shown, "noise_augmentation": noise}
    latent = Latent(torch.zeros(images.shape[0], 4, height, width))
    return with_options(positive, options), with_options(negative, options), latent


def _mask_like(mask: Tensor, pixels: Tensor) -> Tensor:
    """The mask as [B,1,H,W] in the size of the picture."""
    planes = mask.float().reshape(-1, 1, *mask.shape[-2:])
    return interpolate(planes, size=tuple(pixels.shape[1:3]), mode="bilinear")


def _greyed(pixels: Tensor, mask: Tensor) -> Tensor:
    keep = (1.0 - mask.round()).movedim(1, -1)
    if keep.shape[0] not in (1, pixels.shape[0]):
        raise BadImage(
            f"There are {keep.shape[0]} masks for {pixels.shape[0]} pictures.",
            hint="Give one mask, or one for each picture.",
            input="mask",
        )
    return (pixels[..., :3].float() - _GREY) * keep + _GREY


def _cut(planes: Tensor, pixels: Tensor, cell: int) -> Tensor:
    """The middle of `planes` that the VAE keeps of the picture: whole cells."""
    height, width = pixels.shape[1] // cell * cell, pixels.shape[2] // cell * cell
    top, left = (pixels.shape[1] - height) // 2, (pixels.shape[2] - width) // 2
    return planes[:, :, top : top + height, left : left + width]
