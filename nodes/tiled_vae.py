"""Nodes that turn large pictures into latents and back in tiles, within little memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from diffusion.values import Latent, VaeRef
from nodes.sdk import Advanced, Context, Help, Image, Label, Range, node

_TILE = Help("The side of a tile in pixels. Larger tiles differ less in tone, and need more memory.")
_OVERLAP = Help("By how many pixels neighbouring tiles overlap; they fade into each other over it.")
_FILM = Help("For the autoencoders of films, which are not run here.")

TemporalSize = Annotated[int, Range(8, 4096, 4), Label("frames at once"), Advanced(), _FILM]
TemporalOverlap = Annotated[int, Range(4, 4096, 4), Label("overlap of frames"), Advanced(), _FILM]


@node(title="Encode picture in tiles (VAE)", category="latent")
def VAEEncodeTiled(
    context: Context,
    pixels: Annotated[Image, Help("The picture to start from.")],
    vae: Annotated[VaeRef, Help("The VAE of the checkpoint that will sample.")],
    tile_size: Annotated[int, Range(64, 4096, 64), Label("tile"), _TILE] = 512,
    overlap: Annotated[int, Range(0, 4096, 32), _OVERLAP] = 64,
    temporal_size: TemporalSize = 64,
    temporal_overlap: TemporalOverlap = 8,
) -> Latent:
    """Turns a picture into a latent tile by tile, when it is too large to go through the VAE at once.

    Three tilings with seams in different places are averaged, so it takes about three times as long.
    """
    from diffusion.vae_tiled import encode_tiled

    del temporal_size, temporal_overlap
    return encode_tiled(context.residency.vae(vae), pixels, tile_size, overlap, _report(context))


@node(title="Decode latent in tiles (VAE)", category="latent")
def VAEDecodeTiled(
    context: Context,
    samples: Annotated[Latent, Help("What a sampler made.")],
    vae: Annotated[VaeRef, Help("The VAE of the checkpoint that sampled.")],
    tile_size: Annotated[int, Range(64, 4096, 32), Label("tile"), _TILE] = 512,
    overlap: Annotated[int, Range(0, 4096, 32), _OVERLAP] = 64,
    temporal_size: TemporalSize = 64,
    temporal_overlap: TemporalOverlap = 8,
) -> Image:
    """Turns a latent into a picture tile by tile, when it is too large to go through the VAE at once.

    Three tilings with seams in different places are averaged, so it takes about three times as long. The overlap is at
    most a quarter of a tile.
    """
    from diffusion.vae_tiled import decode_tiled

    del temporal_size, temporal_overlap
    return decode_tiled(context.residency.vae(vae), samples, tile_size, overlap, _report(context))


def _report(context: Context) -> Callable[[int, int], None]:
    def report(done: int, total: int) -> None:
        context.check_cancelled()
        if done:
            context.progress(done, total)

    return report
