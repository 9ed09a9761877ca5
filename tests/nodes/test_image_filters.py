"""The filter nodes."""

from __future__ import annotations

import pytest
import torch

from nodes import image_filters


def point(size: int = 5) -> torch.Tensor:
    image = torch.zeros(1, size, size, 3)
    image[:, size // 2, size // 2] = 1.0
    return image


def test_blur_spreads_and_keeps_the_sum():
    result = image_filters.ImageBlur(point(), blur_radius=1, sigma=10.0)
    assert result.sum().item() == pytest.approx(3.0)
    assert result[0, 1:4, 1:4, 0].flatten().tolist() == pytest.approx([1 / 9] * 9, rel=0.02)


def test_sharpen_with_alpha_0_changes_nothing():
    image = torch.rand(1, 6, 6, 3)
    assert torch.equal(image_filters.ImageSharpen(image, 1, 1.0, 0.0), image)


def test_sharpen_raises_the_contrast_by_ten_times_alpha():
    image = 0.5 + 0.1 * point()
    blurred = image_filters.ImageBlur(image, 1, 1.0)
    result = image_filters.ImageSharpen(image, 1, 1.0, 0.05)
    torch.testing.assert_close(result, image + 0.5 * (image - blurred))


def test_colours_are_reduced():
    image = torch.rand(1, 16, 16, 3)
    assert len(image_filters.ImageQuantize(image, 4, "floyd-steinberg").reshape(-1, 3).unique(dim=0)) == 4


def test_edges_are_found_where_brightness_changes():
    image = torch.zeros(1, 12, 12, 3)
    image[:, :, 6] = 0.5
    image[:, :, 7:] = 1.0
    assert image_filters.Canny(image)[0, :, :, 0].nonzero()[:, 1].unique().tolist() == [6]
