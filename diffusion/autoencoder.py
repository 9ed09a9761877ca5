"""An autoencoder as the rest needs it, and the way from pictures and latents to what it takes, and back."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from diffusion.errors import BadImage, BadLatent
from diffusion.values import Latent


class Autoencoder(Protocol):
    """An autoencoder as it is needed here. Pictures are float32 [B, 3, H, W] in −1..1, on the CPU."""

    @property
    def downscale(self) -> int: ...

    @property
    def latent_channels(self) -> int: ...

    def encode_pixels(self, pixels: Tensor) -> Tensor:
        """→ the mean of the latent's distribution, float32 [B, C, H/8, W/8]."""
        ...

    def decode_latent(self, latent: Tensor) -> Tensor: ...

    def has_room(self, pixels: int) -> bool:
        """Whether there is memory for so many pixels at once, as far as that can be told before."""
        ...


def to_pixels(vae: Autoencoder, image: Tensor) -> Tensor:
    """IMAGE → what `encode_pixels` takes. Raises BadImage as `encode` says."""
    if image.ndim != 4 or image.shape[-1] < 3:
        raise BadImage(
            f"An image of the shape {list(image.shape)} cannot be encoded; [B, H, W, 3] is needed.", input="pixels"
        )
    return _crop(image[..., :3], vae.downscale).movedim(-1, 1).float() * 2 - 1


def to_samples(vae: Autoencoder, latent: Latent) -> Tensor:
    """Latent → what `decode_latent` takes. Raises BadLatent when its channels are not the VAE's."""
    samples = latent.samples
    if samples.ndim != 4 or samples.shape[1] != vae.latent_channels:
        raise BadLatent(
            f"A latent of shape {list(samples.shape)} cannot be decoded by a VAE of {vae.latent_channels} channels.",
            hint="Use the VAE of the model that made the latent.",
            input="samples",
        )
    return samples.float()


def to_image(decoded: Tensor) -> Tensor:
    """What `decode_latent` gave → IMAGE, clamped to 0..1. Raises BadLatent when it holds values that are no numbers."""
    image = ((decoded + 1) / 2).clamp(0, 1).movedim(1, -1).clone(memory_format=torch.contiguous_format)
    if not bool(torch.isfinite(image).all()):
        raise BadLatent(
            "The decoded picture holds values that are no numbers.",
            hint="Start the program with --precision fp32; if that changes nothing, the checkpoint is damaged.",
            code="not_finite",
        )
    return image


def _crop(image: Tensor, cell: int) -> Tensor:
    height, width = image.shape[1] // cell * cell, image.shape[2] // cell * cell
    if not height or not width:
        raise BadImage(
            f"The image is {image.shape[2]}×{image.shape[1]} pixels; at least {cell}×{cell} are needed.", input="pixels"
        )
    top, left = (image.shape[1] - height) // 2, (image.shape[2] - width) // 2
    return image[:, top : top + height, left : left + width]
