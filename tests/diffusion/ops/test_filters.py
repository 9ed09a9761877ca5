"""Blur and sharpen, against a direct two-dimensional correlation in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from diffusion.errors import BadSize
from diffusion.ops.filters import add_noise, blur, sharpen


def window(radius: int, sigma: float) -> np.ndarray:
    place = np.linspace(-1, 1, 2 * radius + 1)
    weights = np.exp(-(place[:, None] ** 2 + place[None, :] ** 2) / (2 * sigma**2))
    return weights / weights.sum()


def correlated(image: torch.Tensor, kernel: np.ndarray) -> np.ndarray:
    """Scipy's "mirror" does not repeat the pixel at the edge."""
    planes = image.double().movedim(-1, 1).numpy()
    filtered = np.stack([[ndimage.correlate(plane, kernel, mode="mirror") for plane in each] for each in planes])
    return np.moveaxis(filtered, 1, -1)


@pytest.fixture
def image() -> torch.Tensor:
    return torch.rand(2, 12, 9, 4, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize(("radius", "sigma"), [(1, 1.0), (3, 0.3), (8, 10.0)])
def test_blur_matches_a_correlation(image: torch.Tensor, radius: int, sigma: float):
    np.testing.assert_allclose(blur(image, radius, sigma).numpy(), correlated(image, window(radius, sigma)), atol=1e-6)


def test_blur_spreads_a_point_by_hand():
    image = torch.zeros(1, 3, 3, 1)
    image[0, 1, 1] = 1.0
    side, corner = np.exp(-0.5), np.exp(-1.0)
    total = 1 + 4 * side + 4 * corner
    result = blur(image, 1, 1.0)[0, :, :, 0]
    # Mirrored at the edge, a corner pixel sees the point in all four corners of its window.
    assert result[1, 1].item() == pytest.approx(1 / total)
    assert result[0, 0].item() == pytest.approx(4 * corner / total)


@pytest.mark.parametrize(("radius", "sigma", "alpha"), [(1, 1.0, 1.0), (4, 0.5, 0.07)])
def test_sharpen_matches_a_correlation(image: torch.Tensor, radius: int, sigma: float, alpha: float):
    kernel = -10 * alpha * window(radius, sigma)
    kernel[radius, radius] += 1 - kernel.sum()
    np.testing.assert_allclose(
        sharpen(image, radius, sigma, alpha).numpy(), correlated(image, kernel).clip(0, 1), atol=1e-5
    )


def test_sharpen_leaves_flat_pictures_alone():
    flat = torch.full((1, 8, 8, 3), 0.3)
    torch.testing.assert_close(sharpen(flat, 3, 1.0, 5.0), flat)


def test_a_radius_that_reaches_past_the_picture_names_the_input(image: torch.Tensor):
    with pytest.raises(BadSize, match="radius of 9") as caught:
        blur(image, 9, 1.0)
    assert (caught.value.input, caught.value.hint) == ("blur_radius", "Use at most 8.")
    with pytest.raises(BadSize) as caught:
        sharpen(image, 9, 1.0, 1.0)
    assert caught.value.input == "sharpen_radius"


def test_noise_is_drawn_from_the_seed_and_the_result_stays_in_range(image: torch.Tensor):
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(2**64 - 1))
    result = add_noise(image, 2**64 - 1, 0.5)
    np.testing.assert_array_equal(result.numpy(), (image + 0.5 * noise).clamp(0, 1).numpy())
    assert torch.equal(add_noise(image, 7, 0.0), image)
