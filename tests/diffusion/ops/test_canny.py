"""The edge detector, against its definition written out with scipy and labelled regions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from diffusion.errors import BadSize, DiffusionError
from diffusion.ops.canny import canny


def reference(image: torch.Tensor, low: float, high: float) -> np.ndarray:
    """Edges of one picture [H, W, 3], pixel by pixel."""
    grey = image.double().numpy() @ np.array([0.299, 0.587, 0.114])
    weights = np.exp(-(np.arange(-2, 3) ** 2) / 2)
    weights /= weights.sum()
    soft = ndimage.correlate(grey, np.outer(weights, weights), mode="mirror")
    sobel = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    x, y = ndimage.correlate(soft, sobel, mode="nearest"), ndimage.correlate(soft, sobel.T, mode="nearest")
    strength = np.pad(np.sqrt(x**2 + y**2 + 1e-6), 1)
    thin = np.zeros_like(grey)
    for r, c in np.ndindex(*grey.shape):
        turn = np.deg2rad(45 * round(float(np.rad2deg(np.arctan2(y[r, c], x[r, c]))) / 45))
        down, right = round(float(np.sin(turn))), round(float(np.cos(turn)))
        here = strength[r + 1, c + 1]
        if here > strength[r + 1 + down, c + 1 + right] and here > strength[r + 1 - down, c + 1 - right]:
            thin[r, c] = here
    regions = np.zeros(grey.shape, dtype=int)
    ndimage.label(thin > low, structure=np.ones((3, 3)), output=regions)
    kept = np.unique(regions[thin > high])
    return np.isin(regions, kept[kept > 0])


@pytest.mark.parametrize(("low", "high"), [(0.05, 0.1), (0.2, 0.6), (0.4, 0.8)])
def test_edges_match_the_definition(low: float, high: float):
    coarse = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(7))
    images = torch.nn.functional.interpolate(coarse, size=(31, 37), mode="bicubic").clamp(0, 1).movedim(1, -1)
    result = canny(images, low, high)
    assert result.shape == (2, 31, 37, 3)
    for image, edges in zip(images, result, strict=True):
        expected = reference(image, low, high)
        np.testing.assert_array_equal(edges[..., 0].numpy(), expected)
        assert torch.equal(edges[..., 0], edges[..., 2])
    assert low > 0.05 or 0 < result.mean() < 1


def test_a_ramp_between_two_greys_has_one_edge_in_its_middle():
    image = torch.zeros(1, 9, 11, 3)
    image[:, :, 5] = 0.5
    image[:, :, 6:] = 1.0
    edges = canny(image, 0.4, 0.8)[0, :, :, 0]
    assert edges[:, 5].min() == 1
    assert edges.sum() == 9


def test_a_weak_edge_survives_only_where_it_joins_a_strong_one():
    # A step in one column, of 1 at the top and ever less below: its strength is about 3 times the step.
    step = torch.linspace(1, 0.2, 40)[None, :, None]
    image = torch.zeros(1, 40, 15, 3)
    image[:, :, 7] = step / 2
    image[:, :, 8:] = step[:, :, None]
    assert canny(image, 0.1, 0.9)[0, :, 7, 0].min() == 1
    assert canny(image[:, 36:], 0.1, 0.9).sum() == 0


def test_alpha_is_left_out_and_grey_is_taken_as_it_is():
    image = torch.rand(1, 16, 16, 3, generator=torch.Generator().manual_seed(1))
    with_alpha = torch.cat((image, torch.rand(1, 16, 16, 1)), dim=-1)
    assert torch.equal(canny(with_alpha, 0.1, 0.2), canny(image, 0.1, 0.2))
    assert canny(image[..., :1], 0.1, 0.2).shape == (1, 16, 16, 3)


def test_thresholds_the_wrong_way_round_are_refused():
    with pytest.raises(DiffusionError, match="above the high threshold") as caught:
        canny(torch.zeros(1, 8, 8, 3), 0.8, 0.4)
    assert caught.value.input == "low_threshold"


def test_tiny_pictures_are_refused():
    with pytest.raises(BadSize):
        canny(torch.zeros(1, 2, 8, 3), 0.1, 0.4)
