"""Latents taken from batches and joined to them, with the noise that each one gets.

An item's number in `batch_index` says which draw of the noise it starts from; without one, item i takes draw i. The
numbers are kept, so that an item sampled by itself gives the same picture as in its batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from diffusion.errors import BadLatent
from diffusion.latents import CELL
from diffusion.ops.batches import item_range, repeat_to
from diffusion.ops.latents import check_alike, fit
from diffusion.sampling.mask import fit_mask
from diffusion.values import Latent


def from_batch(latent: Latent, first: int, length: int) -> Latent:
    """`length` items from item `first` on, or as many as there are, with their masks and their noise."""
    count = latent.samples.shape[0]
    chosen = item_range(count, first, length)
    mask = latent.noise_mask
    if mask is not None and mask.shape[0] > 1:
        mask = repeat_to(mask, max(count, mask.shape[0]))[chosen].clone()
    return Latent(latent.samples[chosen].clone(), mask, _noise_numbers(latent)[chosen])


def repeat(latent: Latent, amount: int) -> Latent:
    """The batch `amount` times over. Noise numbers that are set go on behind the largest, so that no two are alike."""
    numbers = latent.batch_index
    if numbers is not None:
        span = max(numbers) - min(numbers) + 1
        numbers = tuple(number + turn * span for turn in range(amount) for number in numbers)
    mask = latent.noise_mask
    if mask is not None and mask.shape[0] > 1:
        mask = _repeated(mask, amount)
    return Latent(_repeated(latent.samples, amount), mask, numbers)


def join(first: Latent, second: Latent) -> Latent:
    """Both batches in one; the second is cropped and scaled (bilinear) to the size of the first. Each keeps its noise.

    The noise mask is the first one's, as far as it has one.
    """
    check_alike(first, second, input="samples2")
    samples = torch.cat((first.samples, fit(second.samples, first.samples, "bilinear")))
    return replace(first, samples=samples, batch_index=_noise_numbers(first) + _noise_numbers(second))


def rebatch(latents: Sequence[Latent], size: int) -> list[Latent]:
    """The items of several batches, in order, in batches of `size`; one that is left over is smaller. A batch ends
    where the size of the pictures changes. Items without a noise number go on counting from the items before them."""
    found: list[Latent] = []
    run: list[Latent] = []
    before = 0
    for latent in latents:
        samples, mask, count = latent.samples, latent.noise_mask, latent.samples.shape[0]
        if run and run[-1].samples.shape[1:] != samples.shape[1:]:
            found += _in_batches(run, size)
            run = []
        numbers = _noise_numbers(latent) if latent.batch_index else tuple(range(before, before + count))
        rows, columns = samples.shape[2] * CELL, samples.shape[3] * CELL
        masks = torch.ones(count, rows, columns) if mask is None else repeat_to(mask, count)
        for item in range(count):
            run.append(Latent(samples[item : item + 1], masks[item : item + 1], (numbers[item],)))
        before += count
    return found + _in_batches(run, size)


def _in_batches(items: Sequence[Latent], size: int) -> list[Latent]:
    found: list[Latent] = []
    for first in range(0, len(items), size):
        part = items[first : first + size]
        samples = torch.cat([each.samples for each in part])
        mask = _joined_masks([each.noise_mask for each in part if each.noise_mask is not None], samples)
        numbers = tuple(number for each in part for number in each.batch_index or ())
        kept = None if bool((mask == 1).all()) else mask
        found.append(Latent(samples, kept, numbers))
    return found


def _joined_masks(masks: Sequence[Tensor], samples: Tensor) -> Tensor:
    """Masks [1, H, W] in one batch: as they are, or scaled to the pictures' pixels where their sizes differ."""
    if len({mask.shape for mask in masks}) > 1:
        pixels = torch.Size((1, 1, samples.shape[2] * CELL, samples.shape[3] * CELL))
        masks = [fit_mask(mask, pixels)[:, 0] for mask in masks]
    return torch.cat(tuple(masks))


def same_noise(latent: Latent) -> Latent:
    """Every item starts from the noise of the first."""
    return replace(latent, batch_index=_noise_numbers(latent)[:1] * latent.samples.shape[0])


def own_noise(latent: Latent) -> Latent:
    """Every item starts from its own noise, numbered from 0."""
    return replace(latent, batch_index=None)


def _noise_numbers(latent: Latent) -> tuple[int, ...]:
    count = latent.samples.shape[0]
    if latent.batch_index is None:
        return tuple(range(count))
    if len(latent.batch_index) != count:
        raise BadLatent(f"The latent has {count} pictures but a batch index of {len(latent.batch_index)}.")
    return latent.batch_index


def _repeated(tensor: Tensor, amount: int) -> Tensor:
    return tensor.repeat(amount, *[1] * (tensor.ndim - 1))
