"""Latents taken from batches and joined to them, with the noise that each one gets.

An item's number in `batch_index` says which draw of the noise it starts from; without one, item i takes draw i. The
numbers are kept, so that an item sampled by itself gives the same picture as in its batch.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from diffusion.errors import BadLatent
from diffusion.ops.batches import item_range, repeat_to
from diffusion.ops.latents import check_alike, fit
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
