"""Between pictures and latents: the autoencoder's two directions.

A picture for which there is no memory as a whole goes through in tiles, ever smaller ones.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from diffusion.errors import BadImage, BadLatent
from diffusion.memory import OutOfMemory
from diffusion.values import Latent

log = logging.getLogger("latentgraph.vae")

_PIXELS_AT_ONCE = 1024 * 1024
_TILES = (512, 256, 128)
_OVERLAP = 1 / 8

T = TypeVar("T")


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


@torch.inference_mode()
def encode(vae: Autoencoder, image: Tensor) -> Latent:
    """IMAGE [B, H, W, C] → latent of its first three channels. A side that is no multiple of 8 is cropped evenly.

    The latent is the mean of the encoder's distribution, not a draw from it, so that encoding is repeatable.
    Raises BadImage when the picture is no IMAGE, or smaller than one latent cell.
    """
    from diffusion.vae_tiled import encode_tiled  # which needs this module

    pixels = to_pixels(vae, image)
    size = pixels.shape[2] * pixels.shape[3]

    def whole() -> Latent:
        return Latent(torch.cat([vae.encode_pixels(part) for part in pixels.split(_batch(size))]).clone())

    def tiled(tile: int) -> Latent:
        return encode_tiled(vae, image, tile, int(tile * _OVERLAP), _silent)

    return _fitted(vae, len(pixels), size, whole, tiled)


@torch.inference_mode()
def decode(vae: Autoencoder, latent: Latent) -> Tensor:
    """Latent → IMAGE float32 [B, H, W, 3], clamped to 0..1. Raises BadLatent when its channels are not the VAE's."""
    from diffusion.vae_tiled import decode_tiled  # which needs this module

    samples = to_samples(vae, latent)
    size = samples.shape[2] * samples.shape[3] * vae.downscale**2

    def whole() -> Tensor:
        return to_image(torch.cat([vae.decode_latent(part) for part in samples.split(_batch(size))]))

    def tiled(tile: int) -> Tensor:
        return decode_tiled(vae, latent, tile, int(tile * _OVERLAP), _silent)

    return _fitted(vae, len(samples), size, whole, tiled)


def _fitted(vae: Autoencoder, count: int, pixels: int, whole: Callable[[], T], tiled: Callable[[int], T]) -> T:
    """What `whole` gives for `count` pictures of so many `pixels`, or else `tiled` with the largest tile that there is
    memory for. Raises OutOfMemory when there is none for the smallest."""
    ways: list[Callable[[], T]] = [partial(tiled, tile) for tile in _TILES if tile * tile < pixels]
    if not ways or vae.has_room(pixels * min(count, _batch(pixels))):
        ways.insert(0, whole)
    for way in ways[:-1]:
        try:
            return way()
        except OutOfMemory as error:
            log.warning("%s Going on in smaller tiles.", error)
    return ways[-1]()


def _silent(done: int, total: int) -> None:
    """Tells nobody."""


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


def _batch(pixels: int) -> int:
    """How many pictures of that size go through at once."""
    return max(1, _PIXELS_AT_ONCE // pixels)
