"""Prompts combined, joined, mixed, and given a place, a weight or a time.

Where and when a prompt has a say is written into its options, by the names that `sampling.regions` reads.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from diffusion.errors import DiffusionError
from diffusion.values import CondEntry, Conditioning

CELL = 8
"""Pixels along one side of a latent cell."""


def combine(first: Conditioning, second: Conditioning) -> Conditioning:
    """Both sets of prompts. The sampler averages their predictions, each weighted by its region."""
    return Conditioning((*first.entries, *second.entries))


def concat(to: Conditioning, source: Conditioning) -> Conditioning:
    """Each prompt of `to`, followed along its tokens by the first prompt of `source`."""
    tail = _first(source)
    for entry in to.entries:
        _check_width(entry, tail)
    return Conditioning(
        tuple(
            CondEntry(torch.cat(_same_batch(entry.embedding, tail.embedding), dim=1), entry.pooled, entry.options)
            for entry in to.entries
        )
    )


def average(to: Conditioning, source: Conditioning, strength: float) -> Conditioning:
    """Each prompt of `to` times `strength`, plus the first of `source` times 1 - `strength`.

    `source` is cut, or padded with zeros, to the tokens of `to`. Pooled vectors are mixed the same way; where only one
    side has one, it is kept.
    """
    other = _first(source)
    return Conditioning(tuple(_mixed(entry, other, strength) for entry in to.entries))


def with_options(conditioning: Conditioning, options: Mapping[str, object]) -> Conditioning:
    """The same prompts with these options set in each."""
    return Conditioning(
        tuple(CondEntry(each.embedding, each.pooled, {**each.options, **options}) for each in conditioning.entries)
    )


def area_in_pixels(width: int, height: int, x: int, y: int) -> tuple[int, int, int, int]:
    """The `area` option of a box given in pixels: height, width, top and left in latent cells, rounded down."""
    return height // CELL, width // CELL, y // CELL, x // CELL


def with_mask(conditioning: Conditioning, mask: Tensor, strength: float, *, to_bounds: bool) -> Conditioning:
    """The prompts limited to `mask` `[H,W]` or `[B,H,W]`; `to_bounds` shows the model only the box around it."""
    if mask.dim() not in (2, 3) or mask.numel() == 0:
        raise DiffusionError(f"A mask must be [batch, height, width], not {list(mask.shape)}.", input="mask")
    batched = mask if mask.dim() == 3 else mask[None]
    return with_options(conditioning, {"mask": batched, "mask_strength": strength, "area_to_mask_bounds": to_bounds})


def zero_out(conditioning: Conditioning) -> Conditioning:
    """The prompts with all numbers of their embeddings and pooled vectors 0."""
    return Conditioning(
        tuple(
            CondEntry(
                torch.zeros_like(each.embedding),
                None if each.pooled is None else torch.zeros_like(each.pooled),
                each.options,
            )
            for each in conditioning.entries
        )
    )


def _first(conditioning: Conditioning) -> CondEntry:
    if not conditioning.entries:
        raise DiffusionError("The conditioning is empty.", input="conditioning_from", code="bad_conditioning")
    return conditioning.entries[0]


def _mixed(entry: CondEntry, other: CondEntry, strength: float) -> CondEntry:
    _check_width(entry, other)
    tokens = entry.embedding.shape[1]
    filler = other.embedding[:, :tokens]
    filler = torch.nn.functional.pad(filler, (0, 0, 0, tokens - filler.shape[1]))
    embedding = entry.embedding * strength + filler * (1.0 - strength)
    pooled = entry.pooled if entry.pooled is not None else other.pooled
    if pooled is not None and other.pooled is not None:
        pooled = pooled * strength + other.pooled * (1.0 - strength)
    return CondEntry(embedding, pooled, entry.options)


def _same_batch(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Both with the batch of the larger; one of a single row is repeated."""
    count = max(first.shape[0], second.shape[0])
    if {first.shape[0], second.shape[0]} - {1, count}:
        raise DiffusionError(
            f"Prompts for {first.shape[0]} and {second.shape[0]} pictures can't be joined.",
            input="conditioning_from",
            code="bad_conditioning",
        )
    return first.expand(count, -1, -1), second.expand(count, -1, -1)


def _check_width(entry: CondEntry, other: CondEntry) -> None:
    wide, other_wide = entry.embedding.shape[-1], other.embedding.shape[-1]
    if wide != other_wide:
        raise DiffusionError(
            f"The prompts come from different text encoders: their embeddings are {wide} and {other_wide} wide.",
            input="conditioning_from",
            code="bad_conditioning",
            hint="Encode both with the CLIP of one checkpoint.",
        )
