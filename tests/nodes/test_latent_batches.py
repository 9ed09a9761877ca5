"""The nodes for batches of latents."""

from __future__ import annotations

import torch

from diffusion.values import Latent
from nodes import latent_batches


def numbered(count: int) -> Latent:
    return Latent(torch.arange(count, dtype=torch.float32).reshape(-1, 1, 1, 1).repeat(1, 4, 2, 2))


def values(latent: Latent) -> list[float]:
    return latent.samples[:, 0, 0, 0].tolist()


def test_items_are_taken_with_their_noise():
    result = latent_batches.LatentFromBatch(numbered(5), batch_index=3, length=64)
    assert (values(result), result.batch_index) == ([3, 4], (3, 4))


def test_a_batch_is_repeated():
    assert values(latent_batches.RepeatLatentBatch(numbered(2), 2)) == [0, 1, 0, 1]


def test_batches_are_joined():
    result = latent_batches.LatentBatch(numbered(2), numbered(1))
    assert (values(result), result.batch_index) == ([0, 1, 0], (0, 1, 0))


def test_the_noise_of_a_batch_is_fixed_or_random():
    fixed = latent_batches.LatentBatchSeedBehavior(numbered(3))
    assert fixed.batch_index == (0, 0, 0)
    assert latent_batches.LatentBatchSeedBehavior(fixed, "random").batch_index is None
