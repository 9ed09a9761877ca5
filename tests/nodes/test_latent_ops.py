"""The latent nodes: what each choice of an input means."""

from __future__ import annotations

import pytest
import torch

from diffusion.values import Latent
from nodes import latent_ops
from nodes.sdk import definition_of


def latent(*rows: list[float]) -> Latent:
    return Latent(torch.tensor(rows, dtype=torch.float32).repeat(1, 4, 1, 1))


def plane(value: Latent) -> list[list[float]]:
    return value.samples[0, 0].tolist()


def test_composite_lays_samples_from_over_samples_to():
    result = latent_ops.LatentComposite(latent([0, 0, 0]), latent([7]), x=8, y=0, feather=0)
    assert plane(result) == [[0, 7, 0]]


def test_composite_masked_covers_where_the_mask_is_1():
    mask = torch.tensor([[[1.0, 0.0]]])
    result = latent_ops.LatentCompositeMasked(latent([0, 0, 0]), latent([7, 8]), x=8, y=0, mask=mask)
    assert plane(result) == [[0, 7, 0]]
    assert plane(latent_ops.LatentCompositeMasked(latent([0, 0]), latent([7]), 0, 0, True)) == [[7, 7]]


def test_blend_takes_the_factor_of_the_first():
    assert plane(latent_ops.LatentBlend(latent([8]), latent([4]), 0.25)) == [[5.0]]


def test_crop_is_given_in_pixels():
    source = Latent(torch.rand(1, 4, 16, 16))
    result = latent_ops.LatentCrop(source, width=64, height=72, x=16, y=24)
    assert torch.equal(result.samples, source.samples[:, :, 3:12, 2:10])


@pytest.mark.parametrize(
    ("rotation", "expected"),
    [
        ("none", [[1, 2], [3, 4]]),
        ("90 degrees", [[3, 1], [4, 2]]),
        ("180 degrees", [[4, 3], [2, 1]]),
        ("270 degrees", [[2, 4], [1, 3]]),
    ],
)
def test_rotations_are_clockwise(rotation: str, expected: list[list[float]]):
    assert plane(latent_ops.LatentRotate(latent([1, 2], [3, 4]), rotation)) == expected  # pyright: ignore[reportArgumentType]


def test_flips():
    source = latent([1, 2], [3, 4])
    assert plane(latent_ops.LatentFlip(source, "x-axis: vertically")) == [[3, 4], [1, 2]]
    assert plane(latent_ops.LatentFlip(source, "y-axis: horizontally")) == [[2, 1], [4, 3]]


def test_arithmetic():
    assert plane(latent_ops.LatentAdd(latent([1]), latent([2]))) == [[3]]
    assert plane(latent_ops.LatentSubtract(latent([1]), latent([3]))) == [[-2]]
    assert plane(latent_ops.LatentMultiply(latent([3]), 0.5)) == [[1.5]]


def test_interpolate_takes_the_ratio_of_the_first():
    # Parallel vectors: only their lengths, 2 per channel and 6 per channel, are mixed.
    result = latent_ops.LatentInterpolate(latent([2]), latent([6]), 0.75)
    assert plane(result)[0][0] == pytest.approx(3.0)


def test_a_noise_mask_is_set():
    mask = torch.rand(1, 64, 64)
    assert latent_ops.SetLatentNoiseMask(latent([1]), mask).noise_mask is not None


def test_inputs_stand_in_comfyuis_order_with_its_limits():
    found = definition_of(latent_ops.LatentCrop)
    assert found is not None
    limits = [(each.name, each.default, each.min, each.max, each.step) for each in found.spec.inputs[1:]]
    assert limits == [
        ("width", 512, 64, 16384, 8),
        ("height", 512, 64, 16384, 8),
        ("x", 0, 0, 16384, 8),
        ("y", 0, 0, 16384, 8),
    ]
