"""Batches of latents and the noise that each item gets."""

from __future__ import annotations

import pytest
import torch

from diffusion.errors import BadLatent
from diffusion.ops import latent_batches
from diffusion.sampling.noise import drawn_noise
from diffusion.values import Latent


def numbered(count: int, *, masks: int = 0, numbers: tuple[int, ...] | None = None) -> Latent:
    """Items whose values, and those of their masks, are 0, 1, 2 …"""
    samples = torch.arange(count, dtype=torch.float32).reshape(-1, 1, 1, 1).repeat(1, 4, 2, 2)
    mask = torch.arange(masks, dtype=torch.float32).reshape(-1, 1, 1).repeat(1, 16, 16) if masks else None
    return Latent(samples, mask, numbers)


def values(latent: Latent) -> list[float]:
    return latent.samples[:, 0, 0, 0].tolist()


def mask_values(latent: Latent) -> list[float]:
    assert latent.noise_mask is not None
    return latent.noise_mask[:, 0, 0].tolist()


def test_items_taken_from_a_batch_keep_their_noise():
    result = latent_batches.from_batch(numbered(4), 1, 2)
    assert values(result) == [1, 2]
    assert result.batch_index == (1, 2)
    whole = drawn_noise(torch.Generator().manual_seed(42), (4, 4, 2, 2))
    assert torch.equal(drawn_noise(torch.Generator().manual_seed(42), (2, 4, 2, 2), result.batch_index), whole[1:3])


def test_items_taken_from_numbered_items_keep_their_numbers():
    assert latent_batches.from_batch(numbered(3, numbers=(7, 7, 9)), 1, 5).batch_index == (7, 9)


def test_a_start_past_the_end_takes_the_last_item():
    result = latent_batches.from_batch(numbered(3), 60, 4)
    assert (values(result), result.batch_index) == ([2], (2,))


@pytest.mark.parametrize(("masks", "expected"), [(1, [0]), (2, [0, 1]), (4, [2, 3]), (6, [2, 3])])
def test_items_taken_from_a_batch_keep_their_masks(masks: int, expected: list[float]):
    assert mask_values(latent_batches.from_batch(numbered(4, masks=masks), 2, 2)) == expected


def test_a_repeated_batch_has_no_noise_numbers_of_its_own_and_so_new_noise_for_each_item():
    result = latent_batches.repeat(numbered(2), 3)
    assert (values(result), result.batch_index) == ([0, 1, 0, 1, 0, 1], None)


def test_a_repeated_batch_counts_its_noise_numbers_on():
    assert latent_batches.repeat(numbered(2, numbers=(3, 5)), 3).batch_index == (3, 5, 6, 8, 9, 11)


def test_a_repeated_batch_repeats_its_masks_but_not_a_single_one():
    assert mask_values(latent_batches.repeat(numbered(2, masks=2), 2)) == [0, 1, 0, 1]
    assert mask_values(latent_batches.repeat(numbered(2, masks=1), 2)) == [0]


def test_joined_batches_keep_the_noise_of_both():
    result = latent_batches.join(numbered(2), numbered(2, numbers=(8, 9)))
    assert (values(result), result.batch_index) == ([0, 1, 0, 1], (0, 1, 8, 9))


def test_a_joined_batch_is_scaled_to_the_first():
    second = Latent(torch.tensor([[0.0, 4.0]]).repeat(1, 4, 2, 1))
    result = latent_batches.join(Latent(torch.zeros(1, 4, 4, 4)), second)
    assert result.samples[1, 0, 0].tolist() == [0, 1, 3, 4]  # bilinear, pixel centres


def test_latents_of_other_channels_are_not_joined():
    with pytest.raises(BadLatent) as caught:
        latent_batches.join(numbered(1), Latent(torch.zeros(1, 16, 2, 2)))
    assert caught.value.input == "samples2"


def test_fixed_noise_is_that_of_the_first_item():
    assert latent_batches.same_noise(numbered(3)).batch_index == (0, 0, 0)
    assert latent_batches.same_noise(numbered(3, numbers=(6, 1, 2))).batch_index == (6, 6, 6)


def test_random_noise_forgets_the_numbers():
    assert latent_batches.own_noise(numbered(2, numbers=(5, 5))).batch_index is None


def test_numbers_that_do_not_fit_the_batch_are_refused():
    with pytest.raises(BadLatent, match="3 pictures but a batch index of 2"):
        latent_batches.from_batch(numbered(3, numbers=(0, 1)), 0, 1)
