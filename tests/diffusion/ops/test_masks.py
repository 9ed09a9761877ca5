"""Masks made, combined, grown and faded, against numbers worked out by hand or by scipy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from diffusion.errors import BadImage, BadSize
from diffusion.ops import masks
from diffusion.ops.batches import BadBatch


def test_a_channel_becomes_a_mask():
    image = torch.tensor([0.1, 0.2, 0.3, 0.4]).expand(2, 3, 5, 4)
    for index, channel in enumerate(masks.CHANNELS):
        mask = masks.from_channel(image, channel)
        assert mask.shape == (2, 3, 5)
        assert mask.unique().tolist() == pytest.approx([0.1 * (index + 1)])


def test_a_channel_that_is_not_there_is_an_error():
    with pytest.raises(BadImage, match="no alpha") as caught:
        masks.from_channel(torch.zeros(1, 2, 2, 3), "alpha")
    assert caught.value.input == "channel"


def test_the_alpha_of_a_file_is_its_transparency_and_the_first_frame_counts():
    image, transparent = torch.rand(2, 4, 4, 3), torch.rand(2, 4, 4)
    assert torch.equal(masks.from_file(image, transparent, "alpha"), transparent[:1])
    assert torch.equal(masks.from_file(image, transparent, "green"), image[:1, ..., 1])


def test_a_file_without_alpha_is_opaque_throughout():
    assert torch.equal(masks.from_file(torch.rand(1, 5, 7, 3), torch.zeros(1, 64, 64), "alpha"), torch.zeros(1, 5, 7))


def test_a_mask_becomes_a_grey_picture():
    image = masks.to_image(torch.tensor([[[0.0, 0.5], [0.25, 1.0]]]))
    assert image.shape == (1, 2, 2, 3)
    assert image[0, 0, 1].tolist() == [0.5, 0.5, 0.5]
    assert masks.to_image(torch.zeros(4, 6)).shape == (1, 4, 6, 3)


def test_a_colour_is_found_as_8_bits_see_it():
    image = torch.tensor([[255, 128, 1], [255, 128, 2], [255, 127.6, 1.4], [255, 128, 0.4]]).reshape(1, 1, 4, 3) / 255
    assert masks.from_colour(image, 0xFF8001).tolist() == [[[1, 0, 1, 0]]]


def test_a_colour_is_found_beside_alpha_and_beyond_the_range():
    image = torch.tensor([[1.5, -0.5, 0.0, 0.3]]).reshape(1, 1, 1, 4)
    assert masks.from_colour(image, 0xFF0000).tolist() == [[[1]]]
    with pytest.raises(BadImage):
        masks.from_colour(torch.zeros(1, 1, 1, 1), 0)


def test_a_solid_mask():
    mask = masks.solid(0.25, width=3, height=2)
    assert mask.tolist() == [[[0.25] * 3] * 2]
    with pytest.raises(BadSize):
        masks.solid(1.0, 16384, 16384)


def test_inverting_twice_changes_nothing():
    mask = torch.tensor([[[0.0, 0.25, 1.0]]])
    assert masks.invert(mask).tolist() == [[[1.0, 0.75, 0.0]]]
    assert torch.equal(masks.invert(masks.invert(mask)), mask)


def test_cropping_ends_where_the_mask_ends():
    mask = torch.arange(12.0).reshape(1, 3, 4)
    assert masks.crop(mask, x=1, y=2, width=2, height=5).tolist() == [[[9, 10]]]
    with pytest.raises(BadSize, match="y is 3") as caught:
        masks.crop(mask, 0, 3, 2, 2)
    assert caught.value.input == "y"


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ("multiply", [0.0, 0.32, 0.48]),
        ("add", [0.6, 1.0, 1.0]),
        ("subtract", [0.0, 0.4, 0.2]),  # 0 − 0.6 is held to 0
        ("and", [0.0, 0.0, 1.0]),
        ("or", [1.0, 1.0, 1.0]),
        ("xor", [1.0, 1.0, 0.0]),
    ],
)
def test_masks_are_combined(operation: str, expected: list[float]):
    destination, source = torch.tensor([[[0.0, 0.8, 0.8]]]), torch.tensor([[[0.6, 0.4, 0.6]]])
    assert masks.composite(destination, source, 0, 0, operation).flatten().tolist() == pytest.approx(expected)


def test_one_half_counts_as_0_in_logical_operations():
    half = torch.full((1, 1, 1), 0.5)
    assert masks.composite(half, half, 0, 0, "or").item() == 0


def test_combining_changes_only_what_the_source_covers():
    destination = torch.full((2, 3, 3), 0.5)
    result = masks.composite(destination, torch.zeros(1, 5, 5), 2, 1, "multiply")
    assert result[1].tolist() == [[0.5, 0.5, 0.5], [0.5, 0.5, 0.0], [0.5, 0.5, 0.0]]
    assert destination.min() == 0.5, "the input must stay as it is"


def test_combining_refuses_what_does_not_match():
    with pytest.raises(BadBatch) as batch:
        masks.composite(torch.zeros(2, 3, 3), torch.zeros(3, 3, 3), 0, 0, "add")
    assert batch.value.input == "source"
    with pytest.raises(BadSize) as place:
        masks.composite(torch.zeros(1, 3, 3), torch.zeros(1, 3, 3), 4, 0, "add")
    assert place.value.input == "x"


def test_combining_on_the_edge_changes_nothing():
    destination = torch.rand(1, 3, 4)
    assert torch.equal(masks.composite(destination, torch.ones(1, 2, 2), 4, 0, "add"), destination)
    assert torch.equal(masks.composite(destination, torch.ones(1, 2, 2), 0, 3, "add"), destination)


def test_combining_holds_the_whole_mask_to_0_and_1():
    destination = torch.tensor([[[-0.5, 0.5, 1.5]]])
    assert masks.composite(destination, torch.ones(1, 1, 1), 1, 0, "multiply").tolist() == [[[0.0, 0.5, 1.0]]]


def test_feathering_from_the_left_and_the_top():
    mask = torch.ones(1, 2, 4)
    assert masks.feather(mask, 4, 0, 0, 0)[0, 0].tolist() == [0.25, 0.5, 0.75, 1.0]
    assert masks.feather(mask, 0, 2, 0, 0)[0, :, 0].tolist() == [0.5, 1.0]


def test_feathering_from_the_right_and_the_bottom_starts_at_pixel_0_as_in_comfyui():
    mask = torch.ones(1, 4, 5)
    assert masks.feather(mask, 0, 0, 4, 0)[0, 0].tolist() == [0.25, 1.0, 1.0, 0.75, 0.5]
    assert masks.feather(mask, 0, 0, 0, 2)[0, :, 0].tolist() == [0.5, 1.0, 1.0, 1.0]


def test_feathering_all_sides_multiplies_and_a_fade_ends_at_the_mask():
    mask = torch.full((1, 3, 3), 0.5)
    result = masks.feather(mask, 2, 2, 0, 0)
    assert result[0].tolist() == [[0.125, 0.25, 0.25], [0.25, 0.5, 0.5], [0.25, 0.5, 0.5]]
    assert masks.feather(torch.ones(1, 1, 2), 100, 0, 0, 0).flatten().tolist() == [0.5, 1.0]


@pytest.mark.parametrize("tapered", [True, False])
@pytest.mark.parametrize("pixels", [-3, -1, 1, 4])
def test_growing_matches_grey_morphology(pixels: int, tapered: bool):
    mask = torch.rand(2, 17, 13, generator=torch.Generator().manual_seed(3))
    footprint = ndimage.generate_binary_structure(2, 1 if tapered else 2)
    operate = ndimage.grey_dilation if pixels > 0 else ndimage.grey_erosion
    for one, result in zip(mask, masks.grow(mask, pixels, tapered=tapered), strict=True):
        expected = one.numpy()
        for _ in range(abs(pixels)):
            expected = operate(expected, footprint=footprint)
        np.testing.assert_array_equal(result.numpy(), expected)


def test_growing_by_nothing_and_without_end():
    mask = torch.zeros(1, 8, 8)
    mask[0, 7, 7] = 1
    assert torch.equal(masks.grow(mask, 0, tapered=True), mask)
    assert masks.grow(mask, 16384, tapered=True).min() == 1
    assert masks.grow(mask, -16384, tapered=False).max() == 0


def test_a_threshold_is_not_reached_by_its_own_value():
    assert masks.threshold(torch.tensor([0.4, 0.5, 0.6]), 0.5).tolist() == [0, 0, 1]
