"""Encodes and decodes large pictures in tiles, which needs the memory of a tile only.

A VAE's norms and its attention see one tile at a time, so tiles differ a little in tone. Three tilings of different
proportions, whose seams lie in different places, are averaged, as ComfyUI does it.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import torch
from torch import Tensor

from diffusion.autoencoder import Autoencoder, to_image, to_pixels, to_samples
from diffusion.errors import BadSize
from diffusion.tiles import Tiling, in_tiles
from diffusion.values import Latent

Report = Callable[[int, int], None]
"""Called with the tiles done and their number, before the first and after each; may raise to stop."""


@torch.inference_mode()
def encode_tiled(vae: Autoencoder, image: Tensor, tile: int, overlap: int, report: Report) -> Latent:
    """As `vae.encode`, in tiles of `tile`×`tile` pixels, of twice that height and half the width, and the reverse.

    Raises BadSize when the overlap leaves nothing of a tile of half the size.
    """
    if overlap >= tile // 2:
        raise BadSize(
            f"An overlap of {overlap} pixels leaves nothing of tiles of {tile}, which are halved on one side.",
            hint=f"Use an overlap below {tile // 2}.",
            input="overlap",
        )
    pixels = to_pixels(vae, image)
    tilings = _tilings(tile, overlap)
    return Latent(_averaged(vae.encode_pixels, pixels, tilings, Fraction(1, vae.downscale), report).clone())


@torch.inference_mode()
def decode_tiled(vae: Autoencoder, latent: Latent, tile: int, overlap: int, report: Report) -> Tensor:
    """As `vae.decode`, in tiles of `tile`×`tile` pixels, of twice that height and half the width, and the reverse. The
    overlap is at most a quarter of a tile."""
    samples = to_samples(vae, latent)
    tilings = _tilings(tile // vae.downscale, min(overlap, tile // 4) // vae.downscale)
    return to_image(_averaged(vae.decode_latent, samples, tilings, vae.downscale, report))


def _tilings(tile: int, overlap: int) -> tuple[Tiling, ...]:
    return (
        Tiling(tile * 2, tile // 2, overlap),
        Tiling(tile // 2, tile * 2, overlap),
        Tiling(tile, tile, overlap),
    )


def _averaged(
    network: Callable[[Tensor], Tensor],
    values: Tensor,
    tilings: tuple[Tiling, ...],
    scale: int | Fraction,
    report: Report,
) -> Tensor:
    total = sum(tiling.count(values.shape) for tiling in tilings)
    done = 0

    def after_each() -> None:
        nonlocal done
        done += 1
        report(done, total)

    report(0, total)
    added = torch.zeros(())
    for tiling in tilings:
        added = added + in_tiles(network, values, tiling, scale, after_each)
    return added / len(tilings)
