"""Operations on latents, against numpy in double precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from diffusion.errors import BadLatent, BadSize
from diffusion.ops.latent_operations import apply
from diffusion.values import LatentOperation, SharpenRule, TonemapRule


@pytest.fixture
def samples() -> torch.Tensor:
    return torch.randn(2, 4, 12, 11, generator=torch.Generator().manual_seed(4)) * 3


@pytest.mark.parametrize("multiplier", [0.1, 1.0, 3.0])
def test_tone_mapping_compresses_lengths_by_reinhards_operator(samples: torch.Tensor, multiplier: float):
    result = apply(samples, LatentOperation(TonemapRule(multiplier)))
    for one, changed in zip(samples.double().numpy(), result.numpy(), strict=True):
        lengths = np.sqrt((one**2).sum(0))
        top = (5 * lengths.std(ddof=1) + lengths.mean()) * multiplier
        new = top * (lengths / top) / (1 + lengths / top)
        np.testing.assert_allclose(changed, one / lengths * new, rtol=1e-4)


def test_tone_mapping_of_an_empty_cell_is_finite(samples: torch.Tensor):
    samples[0, :, 3, 3] = 0
    result = apply(samples, LatentOperation(TonemapRule(1.0)))
    assert torch.isfinite(result).all()
    assert result[0, :, 3, 3].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(("radius", "sigma", "alpha"), [(1, 1.0, 0.1), (4, 0.5, 0.3), (9, 1.0, 0.1)])
def test_sharpening_takes_a_blur_from_the_directions(samples: torch.Tensor, radius: int, sigma: float, alpha: float):
    result = apply(samples, LatentOperation(SharpenRule(radius, sigma, alpha)))
    place = np.linspace(-1, 1, 2 * radius + 1)
    weights = np.exp(-(place[:, None] ** 2 + place**2) / (2 * sigma**2))
    weights /= weights.sum()
    for one, changed in zip(samples.double().numpy(), result.numpy(), strict=True):
        lengths = np.sqrt((one**2).sum(0)) + 1e-6
        directions = one / lengths
        soft = np.stack([ndimage.correlate(plane, weights, mode="mirror") for plane in directions])
        expected = lengths * (directions + 10 * alpha * (directions - soft))
        np.testing.assert_allclose(changed, expected, atol=1e-4)


def test_a_radius_beyond_the_latent_is_refused(samples: torch.Tensor):
    with pytest.raises(BadSize, match="11×12 cells") as caught:
        apply(samples, LatentOperation(SharpenRule(11, 1.0, 0.1)))
    assert caught.value.hint == "Use at most 10."


def test_video_latents_are_refused():
    with pytest.raises(BadLatent):
        apply(torch.zeros(1, 4, 3, 2, 2), LatentOperation(TonemapRule(1.0)))
