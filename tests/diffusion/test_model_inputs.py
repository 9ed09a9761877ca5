from __future__ import annotations

from dataclasses import replace

import torch

from diffusion.model_inputs import model_inputs
from diffusion.sampling.protocols import Start
from diffusion.values import CondEntry
from tests.diffusion import tiny

INPAINTING = replace(tiny.UNET, in_channels=9)


def channels(start: Start, **options: object) -> torch.Tensor:
    entry = CondEntry(torch.zeros(1, 77, 64), None, options)
    found = model_inputs(INPAINTING, 0.5, entry, start, negative=False).channels
    assert found is not None
    return found


def test_a_mask_of_other_proportions_is_cut_to_those_of_the_latent_and_rounded():
    mask = torch.zeros(1, 32, 64)
    mask[..., :40] = 0.8
    found = channels(Start(torch.zeros(2, 4, 4, 4)), concat_mask=mask, concat_latent=torch.ones(1, 4, 4, 4))
    assert found[0, 0].tolist() == [[1.0, 1.0, 1.0, 0.0]] * 4
    assert torch.equal(found[1], found[0])
    assert torch.equal(found[:, 1:], torch.full((2, 4, 4, 4), 0.5))


def test_without_a_conditioning_of_its_own_the_model_sees_the_latent_under_the_mask():
    latent = torch.randn(1, 4, 4, 4)
    found = channels(Start(latent, torch.full((1, 1, 4, 4), 0.6)))
    assert torch.equal(found, torch.cat([torch.ones(1, 1, 4, 4), latent], dim=1))


def test_with_nothing_to_see_all_is_to_be_painted_on_grey():
    found = channels(Start(torch.randn(1, 4, 4, 4)))
    assert found[0, :, 0, 0].tolist() == torch.tensor([1.0, 0.8223, -0.6876, 0.6364, 0.1380]).tolist()


def places(have: int, count: int) -> list[int]:
    """Which of so many pictures each latent of a batch sees."""
    pictures = torch.arange(float(have)).reshape(-1, 1, 1, 1).expand(-1, 4, 1, 1)
    start = Start(torch.zeros(count, 4, 1, 1))
    found = channels(start, concat_mask=torch.ones(1, 1, 1), concat_latent=pictures)
    return (found[:, 1, 0, 0] / 0.5).int().tolist()


def test_pictures_are_spread_evenly_over_a_batch():
    assert places(2, 5) == [0, 0, 1, 1, 1]
    assert places(5, 3) == [0, 2, 4]
    assert places(3, 1) == [0]


def test_a_place_between_two_pictures_goes_where_the_rounded_distance_leads():
    assert places(2, 49)[24] == 0
    assert places(30, 15)[7] == 15
