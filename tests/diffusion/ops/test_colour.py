"""Brightness and colour apart."""

from __future__ import annotations

import pytest
import torch

from diffusion.errors import BadImage
from diffusion.ops.colour import from_yuv, to_yuv


def pixel(*values: float) -> torch.Tensor:
    return torch.tensor(values).reshape(1, 1, 1, -1)


@pytest.mark.parametrize(
    ("colour", "expected"),
    [
        ((1.0, 1.0, 1.0), (1.0, 0.5, 0.5)),
        ((1.0, 0.0, 0.0), (0.299, 0.5 - 0.299 * 0.564, 0.5 + 0.701 * 0.713)),
        ((0.0, 0.0, 1.0), (0.114, 0.5 + 0.886 * 0.564, 0.5 - 0.114 * 0.713)),
        ((0.2, 0.6, 0.4, 0.1), (0.4576, 0.5 - 0.0576 * 0.564, 0.5 - 0.2576 * 0.713)),
    ],
)
def test_a_colour_has_the_numbers_of_its_definition(colour: tuple[float, ...], expected: tuple[float, ...]):
    for plane, value in zip(to_yuv(pixel(*colour)), expected, strict=True):
        assert plane.flatten().tolist() == pytest.approx([value] * 3, abs=1e-6)


def test_the_way_back_takes_the_mean_of_the_channels_and_stays_in_range():
    result = from_yuv(pixel(0.2, 0.4, 0.6), pixel(0.6, 0.6, 0.6), pixel(0.3))
    expected = [0.4 - 1.403 * 0.2, 0.4 + 0.714 * 0.2 - 0.344 * 0.1, 0.4 + 1.773 * 0.1]
    assert result.flatten().tolist() == pytest.approx(expected, abs=1e-6)
    assert from_yuv(pixel(1.0), pixel(1.0), pixel(0.0)).flatten().tolist() == pytest.approx([0.2985, 1, 1], abs=1e-6)


def test_a_picture_comes_back_nearly_as_it_was():
    image = torch.rand(2, 5, 4, 3, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(from_yuv(*to_yuv(image)), image, atol=2e-3)


def test_planes_of_other_sizes_are_refused():
    with pytest.raises(BadImage, match="1 × 3×2 pixels") as caught:
        from_yuv(torch.zeros(1, 2, 2, 3), torch.zeros(1, 2, 2, 3), torch.zeros(1, 2, 3, 3))
    assert caught.value.input == "V"
    with pytest.raises(BadImage):
        to_yuv(torch.zeros(1, 2, 2, 1))
