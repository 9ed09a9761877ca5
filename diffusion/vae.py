"""Between pictures and latents: the autoencoder's two directions.

A picture for which there is no memory as a whole goes through in tiles, ever smaller ones.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor

from diffusion.autoencoder import Autoencoder, to_image, to_pixels, to_samples
from diffusion.memory import OutOfMemory
from diffusion.vae_tiled import decode_tiled, encode_tiled
from diffusion.values import Latent

log = logging.getLogger("latentgraph.vae")

_PIXELS_AT_ONCE = 1024 * 1024
_TILES = (512, 256, 128)
_OVERLAP = 1 / 8

T = TypeVar("T")


@torch.inference_mode()
def encode(vae: Autoencoder, image: Tensor) -> Latent:
    """IMAGE [B, H, W, C] → latent of its first three channels. A side that is no multiple of 8 is cropped evenly.

    The latent is the mean of the encoder's distribution, not a draw from it, so that encoding is repeatable.
    Raises BadImage when the picture is no IMAGE, or smaller than one latent cell.
    """
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


def _batch(pixels: int) -> int:
    """How many pictures of that size go through at once."""
    return max(1, _PIXELS_AT_ONCE // pixels)
