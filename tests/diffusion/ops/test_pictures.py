"""Pictures made, batched, cut, padded and pasted, against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from diffusion.errors import BadSize
from diffusion.ops import pictures


def grey(value: float, height: int, width: int, *, batch: int = 1, channels: int = 3) -> Tensor:
    return torch.full((batch, height, width, channels), float(value))


def numbered(count: int) -> Tensor:
    return torch.arange(count, dtype=torch.float32).reshape(-1, 1, 1, 1).repeat(1, 2, 2, 3) / count


@pytest.mark.parametrize(
    ("width", "height", "megapixels", "expected"),
    [(512, 512, 1.0, (1024, 1024)), (300, 200, 0.25, (627, 418)), (100, 50, 0.01, (145, 72))],
)
def test_scaling_to_megapixels_keeps_the_proportions(
    width: int, height: int, megapixels: float, expected: tuple[int, int]
):
    result = pictures.scale_to_megapixels(grey(0.5, height, width), megapixels, "nearest-exact")
    assert (result.shape[2], result.shape[1]) == expected
    assert result.shape[1] * result.shape[2] == pytest.approx(megapixels * 2**20, rel=0.01)


def test_inverting():
    assert pictures.invert(torch.tensor([0.0, 0.25, 1.0])).tolist() == [1.0, 0.75, 0.0]


def test_an_empty_picture_has_its_colour():
    image = pictures.empty(width=3, height=2, batch_size=2, colour=0xFF8000)
    assert image.shape == (2, 2, 3, 3)
    assert image[1, 1, 2].tolist() == pytest.approx([1.0, 128 / 255, 0.0])


def test_sizes_beyond_the_limits_are_refused_before_memory_is_taken():
    with pytest.raises(BadSize, match="too much memory") as caught:
        pictures.empty(512, 512, 4096, 0)
    assert (caught.value.input, caught.value.hint) == ("batch_size", "The most is 1024 of this size.")
    with pytest.raises(BadSize) as caught:
        pictures.repeat(grey(0, 512, 512), 4096)
    assert caught.value.input == "amount"
    with pytest.raises(BadSize):
        pictures.pad_for_outpaint(grey(0, 8, 8), 16384, 0, 0, 0, 0)


def test_joining_adds_alpha_where_it_is_missing():
    joined = pictures.join(grey(0.25, 2, 2), grey(0.5, 2, 2, channels=4))
    assert joined[:, 0, 0].tolist() == [[0.25, 0.25, 0.25, 1.0], [0.5, 0.5, 0.5, 0.5]]
    joined = pictures.join(grey(0.5, 2, 2, channels=4), grey(0.25, 2, 2))
    assert joined[:, 0, 0].tolist() == [[0.5, 0.5, 0.5, 0.5], [0.25, 0.25, 0.25, 1.0]]


def test_joining_crops_and_scales_the_second():
    wide = torch.zeros(1, 2, 6, 3)
    wide[:, :, 2:4] = 1.0
    joined = pictures.join(grey(0, 4, 4), wide)
    assert joined.shape == (2, 4, 4, 3)
    assert joined[1].min() == 1.0


def test_pictures_are_taken_from_a_batch():
    batch = numbered(4)
    assert torch.equal(pictures.from_batch(batch, 1, 2), batch[1:3])
    assert torch.equal(pictures.from_batch(batch, 3, 9), batch[3:])
    assert torch.equal(pictures.from_batch(batch, 50, 2), batch[3:])


def test_a_batch_is_repeated():
    assert torch.equal(pictures.repeat(numbered(2), 2), numbered(2)[[0, 1, 0, 1]])


def test_cropping_ends_where_the_picture_ends():
    image = torch.arange(2 * 3 * 4 * 3, dtype=torch.float32).reshape(2, 3, 4, 3)
    assert torch.equal(pictures.crop(image, width=2, height=1, x=1, y=2), image[:, 2:3, 1:3])
    assert torch.equal(pictures.crop(image, width=512, height=512, x=3, y=0), image[:, :, 3:])


def test_cropping_outside_takes_the_last_pixels():
    image = torch.arange(2 * 3 * 4 * 3, dtype=torch.float32).reshape(2, 3, 4, 3)
    assert torch.equal(pictures.crop(image, width=9, height=9, x=4, y=0), image[:, :, 3:])
    assert torch.equal(pictures.crop(image, width=1, height=1, x=16384, y=16384), image[:, 2:, 3:])


def test_padding_puts_the_picture_on_grey():
    padded, mask = pictures.pad_for_outpaint(grey(1, 2, 3, batch=2), left=1, top=2, right=3, bottom=4, feathering=0)
    assert padded.shape == (2, 8, 7, 3)
    assert torch.equal(padded[:, 2:4, 1:4], grey(1, 2, 3, batch=2))
    assert padded.sum().item() == 2 * 3 * (6 + 0.5 * (56 - 6))
    assert mask.shape == (1, 8, 7)
    assert mask[0, 2:4, 1:4].sum() == 0
    assert mask.sum() == 56 - 6


def test_padding_feathers_next_to_the_borders_that_there_are():
    _, mask = pictures.pad_for_outpaint(grey(1, 9, 9), left=8, top=0, right=0, bottom=0, feathering=4)
    assert mask[0, 4, 7:13].tolist() == [1.0, 1.0, 0.75**2, 0.5**2, 0.25**2, 0.0]
    assert mask[0, :, 8:].std(dim=0).max() == 0, "no fade towards the other sides"


def test_padding_feathers_one_pixel_less_on_the_right_and_below():
    _, mask = pictures.pad_for_outpaint(grey(1, 9, 9), left=0, top=0, right=8, bottom=8, feathering=4)
    assert mask[0, 0, 5:10].tolist() == [0.0, 0.25**2, 0.5**2, 0.75**2, 1.0]
    assert torch.equal(mask, mask.transpose(1, 2))
    assert mask[0, 8, 8] == 0.75**2, "the nearest border counts"


@pytest.mark.parametrize(("feathering", "fades"), [(4, True), (5, False), (40, False)])
def test_padding_does_not_feather_past_the_middle(feathering: int, fades: bool):
    _, mask = pictures.pad_for_outpaint(grey(1, 9, 20), left=8, top=8, right=8, bottom=8, feathering=feathering)
    inside = mask[0, 8:17, 8:28]
    assert (inside.max() > 0) == fades


def test_every_padded_pixel_follows_the_rule():
    rows, columns, feathering = 11, 14, 5
    _, mask = pictures.pad_for_outpaint(grey(1, rows, columns), left=3, top=2, right=0, bottom=1, feathering=feathering)
    for i in range(rows):
        for j in range(columns):
            nearest = min(i, rows - i, j)
            expected = max(0.0, (feathering - nearest) / feathering) ** 2
            assert mask[0, 2 + i, 3 + j].item() == pytest.approx(expected, abs=1e-7)
    assert math.isclose(mask[0, :2].mean().item(), 1.0)


def test_pasting_cuts_off_what_sticks_out():
    result = pictures.composite(grey(0, 3, 3, batch=2), grey(1, 2, 2), 2, 1, resize_source=False, mask=None)
    assert result[1, :, :, 0].tolist() == [[0, 0, 0], [0, 0, 1], [0, 0, 1]]
    assert result.is_contiguous()


def test_pasting_by_a_mask_mixes():
    mask = torch.tensor([[[0.0, 0.25], [0.5, 1.0]]])
    result = pictures.composite(grey(0.5, 2, 2), grey(1, 2, 2), 0, 0, resize_source=False, mask=mask)
    assert result[0, :, :, 2].tolist() == [[0.5, 0.625], [0.75, 1.0]]


def test_pasting_a_stretched_source():
    result = pictures.composite(grey(0, 4, 6), grey(1, 1, 1), 0, 0, resize_source=True, mask=None)
    assert torch.equal(result, grey(1, 4, 6))


def test_pasting_treats_alpha_as_a_colour():
    on_opaque = pictures.composite(grey(0, 1, 1), grey(0.5, 1, 1, channels=4), 0, 0, resize_source=False, mask=None)
    assert on_opaque.flatten().tolist() == [0.5, 0.5, 0.5]
    on_alpha = pictures.composite(grey(0, 1, 1, channels=4), grey(0.5, 1, 1), 0, 0, resize_source=False, mask=None)
    assert on_alpha.flatten().tolist() == [0.5, 0.5, 0.5, 1.0]


@pytest.mark.parametrize(("x", "y"), [(5, 0), (0, 3), (16384, 16384)])
def test_pasting_outside_changes_nothing(x: int, y: int):
    below = torch.rand(1, 3, 5, 3)
    assert torch.equal(pictures.composite(below, grey(1, 2, 2), x, y, resize_source=False, mask=None), below)
    mask = torch.ones(1, 4, 4)
    assert torch.equal(pictures.composite(below, grey(1, 2, 2), x, y, resize_source=True, mask=mask), below)
