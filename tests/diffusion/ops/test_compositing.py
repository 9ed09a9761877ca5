"""Porter-Duff compositing, one pixel by one."""

from __future__ import annotations

import pytest
import torch

from diffusion.errors import BadImage
from diffusion.ops.compositing import porter_duff

# A source of 0.8 at alpha 0.5 over a destination of 0.4 at alpha 0.75: multiplied 0.4 and 0.3.
EXPECTED = {
    # the colour times its alpha, and the alpha
    "ADD": (0.7, 1.0),
    "CLEAR": (0.0, 0.0),
    "DARKEN": (0.25 * 0.4 + 0.5 * 0.3 + 0.3, 0.875),
    "DST": (0.3, 0.75),
    "DST_ATOP": (0.5 * 0.3 + 0.25 * 0.4, 0.5),
    "DST_IN": (0.15, 0.375),
    "DST_OUT": (0.15, 0.375),
    "DST_OVER": (0.3 + 0.25 * 0.4, 0.875),
    "LIGHTEN": (0.25 * 0.4 + 0.5 * 0.3 + 0.4, 0.875),
    "MULTIPLY": (0.12, 0.375),
    "OVERLAY": (2 * 0.4 * 0.3, 0.875),
    "SCREEN": (0.4 + 0.3 - 0.12, 0.875),
    "SRC": (0.4, 0.5),
    "SRC_ATOP": (0.75 * 0.4 + 0.5 * 0.3, 0.75),
    "SRC_IN": (0.3, 0.375),
    "SRC_OUT": (0.1, 0.125),
    "SRC_OVER": (0.4 + 0.5 * 0.3, 0.875),
    "XOR": (0.25 * 0.4 + 0.5 * 0.3, 0.25 * 0.5 + 0.5 * 0.75),
}


def pixel(value: float) -> torch.Tensor:
    return torch.full((1, 1, 1, 3), value)


def clear(value: float) -> torch.Tensor:
    return torch.full((1, 1, 1), value)


@pytest.mark.parametrize("mode", EXPECTED)
def test_each_operator_gives_the_numbers_of_its_definition(mode: str):
    colour, transparent = porter_duff(pixel(0.8), clear(0.5), pixel(0.4), clear(0.25), mode)
    multiplied, alpha = EXPECTED[mode]
    assert transparent.item() == pytest.approx(1 - alpha, abs=1e-6)
    expected = min(1.0, multiplied / alpha) if alpha else 0.0
    assert colour.flatten().tolist() == pytest.approx([expected] * 3, abs=1e-6)


def test_the_lighter_half_of_overlay_takes_each_alpha_from_the_other_colour_as_in_comfyui():
    colour, _ = porter_duff(pixel(0.8), clear(0.5), pixel(0.6), clear(0.25), "OVERLAY")
    # ab − 2 (b − s)(a − d) with s = 0.4, a = 0.5, d = 0.45, b = 0.75
    assert colour[0, 0, 0, 0].item() == pytest.approx((0.375 - 2 * 0.35 * 0.05) / 0.875, abs=1e-6)


def test_everything_is_fitted_to_the_destination_and_the_smallest_batch_counts():
    source = torch.zeros(2, 2, 6, 3)
    source[:, :, 2:4] = 1.0  # the middle that a square keeps
    image, mask = porter_duff(source, torch.zeros(3, 2, 6), torch.zeros(2, 4, 4, 3), torch.zeros(2, 8, 8), "SRC_OVER")
    assert image.shape == (2, 4, 4, 3)
    assert mask.shape == (2, 4, 4)
    assert torch.allclose(image, torch.ones(2, 4, 4, 3))
    assert mask.max() == 0
    assert porter_duff(source, torch.zeros(1, 2, 6), source, torch.zeros(2, 2, 6), "DST")[0].shape[0] == 1


def test_pictures_of_other_channels_are_refused():
    with pytest.raises(BadImage, match="4 channels") as caught:
        porter_duff(torch.zeros(1, 1, 1, 4), clear(0), pixel(0), clear(0), "SRC")
    assert caught.value.input == "source"
