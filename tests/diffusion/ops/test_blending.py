"""Blend modes, against numbers worked out by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from diffusion.ops.batches import BadBatch
from diffusion.ops.blending import blend


def pixel(*values: float) -> Tensor:
    return torch.tensor(values).reshape(1, 1, 1, -1)


FIRST, SECOND = pixel(0.2, 0.6, 0.16), pixel(0.5, 0.75, 0.25)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("normal", [0.5, 0.75, 0.25]),
        ("multiply", [0.1, 0.45, 0.04]),
        ("screen", [0.6, 0.9, 0.37]),
        ("overlay", [0.2, 0.8, 0.08]),  # 2·0.2·0.5; 1 − 2·0.4·0.25; 2·0.16·0.25
        # 0.2 unchanged at ½; 0.6 + 0.5·(√0.6 − 0.6); 0.16 − 0.5·0.16·0.84
        ("soft_light", [0.2, 0.6 + 0.5 * (0.6**0.5 - 0.6), 0.16 - 0.5 * 0.16 * 0.84]),
        ("difference", [0.0, 0.0, 0.0]),  # negative, so held to 0
    ],
)
def test_modes(mode: str, expected: list[float]):
    assert blend(FIRST, SECOND, 1.0, mode).flatten().tolist() == pytest.approx(expected)
    half = [(a + b) / 2 for a, b in zip(FIRST.flatten().tolist(), expected, strict=True)]
    if mode != "difference":
        assert blend(FIRST, SECOND, 0.5, mode).flatten().tolist() == pytest.approx(half)


def test_soft_light_brightens_dark_pixels_along_its_polynomial():
    # 0.16 lies below ¼: ((16·0.16 − 12)·0.16 + 4)·0.16 = 0.398336
    lighter = blend(pixel(0.16), pixel(0.75), 1.0, "soft_light").item()
    assert lighter == pytest.approx(0.16 + 0.5 * (0.398336 - 0.16))


def test_difference_subtracts_and_is_held_to_0_only_after_mixing():
    assert blend(pixel(0.75), pixel(0.5), 1.0, "difference").item() == 0.25
    assert blend(pixel(0.6), pixel(0.8), 0.5, "difference").item() == pytest.approx(0.3 - 0.1)


def test_a_factor_of_0_changes_nothing():
    assert torch.equal(blend(FIRST, SECOND, 0.0, "screen"), FIRST)


def test_the_second_is_fitted_to_the_first():
    wide = torch.zeros(1, 2, 6, 4)
    wide[:, :, 2:4] = 1.0
    result = blend(torch.zeros(1, 4, 4, 3), wide, 1.0, "normal")
    assert result.shape == (1, 4, 4, 3)
    assert result.min() == 1.0


def test_a_single_picture_is_blended_with_every_one_of_a_batch():
    batch = torch.tensor([0.25, 0.5]).reshape(2, 1, 1, 1)
    assert blend(batch, pixel(1.0), 0.5, "normal").flatten().tolist() == [0.625, 0.75]
    assert blend(pixel(1.0), batch, 0.5, "normal").flatten().tolist() == [0.625, 0.75]


def test_batches_that_do_not_match_are_refused():
    with pytest.raises(BadBatch, match="This batch has 3 items and the other has 2") as caught:
        blend(torch.zeros(2, 1, 1, 3), torch.zeros(3, 1, 1, 3), 0.5, "normal")
    assert caught.value.input == "image2"
