"""Pictures with few colours."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from diffusion.errors import BadImage
from diffusion.ops.quantize import bayer, quantize

DITHERS = ("none", "floyd-steinberg", "bayer-2", "bayer-4", "bayer-8", "bayer-16")


def gradient(height: int = 24, width: int = 40) -> torch.Tensor:
    across = torch.linspace(0, 1, width).expand(height, width)
    down = torch.linspace(0, 1, height)[:, None].expand(height, width)
    return torch.stack((across, down, 1 - across), dim=-1)[None]


@pytest.mark.parametrize("dither", DITHERS)
@pytest.mark.parametrize("colours", [2, 7])
def test_no_more_colours_than_asked_for_are_left(dither: str, colours: int):
    result = quantize(gradient(), colours, dither)
    assert len(result.reshape(-1, 3).unique(dim=0)) <= colours


@pytest.mark.parametrize(("dither", "method"), [("none", 0), ("floyd-steinberg", 3)])
def test_each_picture_is_reduced_as_pillow_reduces_it(dither: str, method: int):
    images = torch.cat((gradient(), gradient().flip(2) * 0.5))
    for image, result in zip(images, quantize(images, 8, dither), strict=True):
        picture = Image.fromarray(np.floor(image.numpy() * 255).astype(np.uint8))
        expected = picture.quantize(palette=picture.quantize(8), dither=Image.Dither(method)).convert("RGB")
        np.testing.assert_array_equal((result * 255).round().numpy(), np.asarray(expected))


PRINTED = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]])
"""The 4×4 matrix of Bayer (1973) as it is usually printed."""


def test_the_pattern_is_bayers():
    np.testing.assert_allclose((bayer(4) + 0.5) * 16 - 0.5, PRINTED)
    assert sorted(np.unique((bayer(16) + 0.5) * 256 - 0.5)) == list(range(256))


def test_ordered_dithering_shifts_the_levels_by_the_pattern_before_they_are_rounded():
    levels = np.floor(gradient()[0].numpy() * 255).astype(np.uint8)
    shift = np.tile(2 * 256 / 8 * ((PRINTED + 0.5) / 16 - 0.5) + 0.5, (6, 10))[..., None]
    shifted = Image.fromarray((levels + shift).clip(0, 255).astype(np.uint8))
    expected = shifted.quantize(palette=Image.fromarray(levels).quantize(8), dither=Image.Dither.NONE).convert("RGB")
    result = quantize(gradient(), 8, "bayer-4")
    np.testing.assert_array_equal((result[0] * 255).round().numpy(), np.asarray(expected))


def test_ordered_dithering_adds_in_single_precision():
    # 14 dark greys, all of them in the palette, so that one level more or less shows.
    levels = np.repeat(np.resize(np.arange(4, 18, dtype=np.uint8), (48, 200))[..., None], 3, axis=-1)
    pattern = np.float32(2 * 256 / 14) * bayer(16).astype(np.float32) + np.float32(0.5)
    shift = np.tile(pattern, (3, 13))[:, :200, None]
    assert shift.dtype == np.float32
    shifted = Image.fromarray((levels.astype(np.float32) + shift).clip(0, 255).astype(np.uint8))
    expected = shifted.quantize(palette=Image.fromarray(levels).quantize(14), dither=Image.Dither.NONE)
    result = quantize((torch.from_numpy(levels) + 0.25)[None] / 255, 14, "bayer-16")
    np.testing.assert_array_equal((result[0] * 255).round().numpy(), np.asarray(expected.convert("RGB")))


@pytest.mark.parametrize("dither", ["floyd-steinberg", "bayer-2", "bayer-16"])
def test_dithering_keeps_the_mean_where_rounding_does_not(dither: str):
    # Two colours left of a black and white picture with a grey square in it.
    image = torch.zeros(1, 64, 64, 3)
    image[:, :, 32:] = 1.0
    image[:, 16:48, 16:48] = 0.4
    square = (slice(None), slice(20, 44), slice(20, 44))
    rounded, dithered = quantize(image, 2, "none")[square], quantize(image, 2, dither)[square]
    assert len(rounded.unique()) == 1
    assert len(dithered.unique()) == 2
    assert abs(dithered.mean().item() - 0.4) < abs(rounded.mean().item() - 0.4)


def test_alpha_stays_as_it_is():
    alpha = torch.rand(1, 24, 40, 1)
    result = quantize(torch.cat((gradient(), alpha), dim=-1), 4, "bayer-2")
    assert torch.equal(result[..., 3:], alpha)
    assert torch.equal(result[..., :3], quantize(gradient(), 4, "bayer-2"))


def test_a_picture_without_three_colours_is_refused():
    with pytest.raises(BadImage):
        quantize(torch.zeros(1, 4, 4, 1), 4, "none")
