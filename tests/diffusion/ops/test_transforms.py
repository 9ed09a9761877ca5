"""Pictures turned, fitted and stitched, and their alpha, against numbers worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from diffusion.errors import BadImage, BadSize
from diffusion.ops import transforms


def grey(value: float, height: int, width: int, *, batch: int = 1, channels: int = 3) -> Tensor:
    return torch.full((batch, height, width, channels), float(value))


def counting(height: int, width: int) -> Tensor:
    return torch.arange(height * width, dtype=torch.float32).reshape(1, height, width, 1).repeat(1, 1, 1, 3)


def plane(image: Tensor, item: int = 0) -> list[list[float]]:
    return image[item, :, :, 0].tolist()


def test_rotating_is_clockwise():
    assert plane(transforms.rotate(counting(2, 3), 0)) == [[0, 1, 2], [3, 4, 5]]
    assert plane(transforms.rotate(counting(2, 3), 1)) == [[3, 0], [4, 1], [5, 2]]
    assert plane(transforms.rotate(counting(2, 3), 2)) == [[5, 4, 3], [2, 1, 0]]
    assert plane(transforms.rotate(counting(2, 3), 3)) == [[2, 5], [1, 4], [0, 3]]


def test_flipping_mirrors():
    assert plane(transforms.flip(counting(2, 2), vertically=True)) == [[2, 3], [0, 1]]
    assert plane(transforms.flip(counting(2, 2), vertically=False)) == [[1, 0], [3, 2]]


@pytest.mark.parametrize(
    ("height", "width", "expected"), [(30, 20, (50, 33)), (20, 30, (33, 50)), (7, 7, (50, 50)), (100, 1, None)]
)
def test_the_longer_side_gets_its_length(height: int, width: int, expected: tuple[int, int] | None):
    if expected is not None:
        assert transforms.scale_to_side(grey(0, height, width), 50, "area").shape[1:3] == expected
        return
    with pytest.raises(BadSize) as caught:
        transforms.scale_to_side(grey(0, height, width), 50, "area")  # 0.5 is rounded to 0
    assert caught.value.input == "largest_size"


def test_a_picture_is_fitted_into_the_middle_of_its_borders():
    result = transforms.resize_and_pad(grey(0.5, 2, 4), 8, 7, "white", "nearest-exact")
    assert result.shape == (1, 7, 8, 3)
    assert [row[0] for row in plane(result)] == [1, 0.5, 0.5, 0.5, 0.5, 1, 1]  # 3 rows are left: 1 above, 2 below
    black = transforms.resize_and_pad(grey(0.5, 4, 2), 5, 4, "black", "area")
    assert plane(black)[0] == [0, 0.5, 0.5, 0, 0]


def test_a_fitted_side_is_rounded_down():
    result = transforms.resize_and_pad(grey(1, 3, 4), 10, 10, "black", "nearest-exact")
    assert result[0, :, 0, 0].sum() == 7  # of 7.5
    with pytest.raises(BadSize) as caught:
        transforms.resize_and_pad(grey(1, 100, 1), 10, 10, "black", "area")
    assert caught.value.input == "target_width"


def stitched(first: Tensor, second: Tensor, direction: str = "right", **changes: Any) -> Tensor:
    settings = {"match": False, "spacing": 0, "colour": "white"} | changes
    return transforms.stitch(first, second, direction, **settings)


@pytest.mark.parametrize(
    ("direction", "expected"),
    [
        ("right", [[0.25, 0.75]]),
        ("left", [[0.75, 0.25]]),
        ("down", [[0.25], [0.75]]),
        ("up", [[0.75], [0.25]]),
    ],
)
def test_the_second_lies_in_the_direction(direction: str, expected: list[list[float]]):
    assert plane(stitched(grey(0.25, 1, 1), grey(0.75, 1, 1), direction)) == expected


def test_the_second_is_scaled_to_the_side_that_touches():
    assert stitched(grey(0, 6, 4), grey(0, 4, 3), match=True).shape == (1, 6, 8, 3)  # 4.5 is rounded down
    assert stitched(grey(0, 6, 4), grey(0, 4, 3), "up", match=True).shape == (1, 11, 4, 3)  # 5.33


def test_a_matched_second_has_8_bits_also_in_its_own_size():
    result = stitched(grey(0.5, 1, 1), grey(0.5, 1, 1), match=True)
    assert plane(result)[0] == pytest.approx([0.5, 127 / 255])


@pytest.mark.parametrize(("colour", "ground"), [("white", 1.0), ("black", 0.0), ("red", 0.0), ("blue", 0.0)])
def test_an_unmatched_picture_is_padded_on_both_ends(colour: str, ground: float):
    result = stitched(grey(0.5, 1, 1), grey(0.25, 4, 1), colour=colour)
    assert result[0, :, 0].tolist() == [[ground] * 3, [0.5] * 3, [ground] * 3, [ground] * 3]
    assert stitched(grey(0.5, 4, 1), grey(0.25, 1, 2), "down", colour=colour)[0, 0].tolist() == [
        [0.5] * 3,
        [ground] * 3,
    ]


def test_a_bar_between_them_is_even_and_coloured():
    result = stitched(grey(0.5, 2, 1), grey(0.25, 2, 1), spacing=3, colour="green")
    assert result[0, 0].tolist() == [[0.5] * 3, *[[0, 1, 0]] * 4, [0.25] * 3]
    alpha = stitched(grey(0.5, 1, 1, channels=4), grey(0.25, 1, 1), "up", spacing=2, colour="black")
    assert alpha[0, :, 0].tolist() == [[0.25, 0.25, 0.25, 1], *[[0, 0, 0, 1]] * 2, [0.5] * 4]


def test_the_last_picture_of_the_shorter_batch_is_repeated():
    two = torch.cat((grey(0.25, 1, 1), grey(0.75, 1, 1)))
    result = stitched(two, torch.cat((two, grey(0, 1, 1))))
    assert [plane(result, item)[0] for item in range(3)] == [[0.25, 0.25], [0.75, 0.75], [0.75, 0]]


def test_what_would_be_too_large_is_refused():
    with pytest.raises(BadSize) as caught:
        stitched(grey(0, 1, 16384), grey(0, 1, 1))
    assert caught.value.input == "image2"


def test_alpha_is_joined_and_split():
    mask = torch.tensor([[[0.25, 1.0]]])
    joined = transforms.join_alpha(grey(0.5, 1, 2, channels=4), mask)
    assert joined.tolist() == [[[[0.5, 0.5, 0.5, 0.75], [0.5, 0.5, 0.5, 0]]]]
    image, transparent = transforms.split_alpha(joined)
    assert torch.equal(image, grey(0.5, 1, 2))
    assert torch.equal(transparent, mask)


def test_alpha_is_stretched_to_the_picture_and_the_smaller_batch_counts():
    mask = torch.tensor([[[0.0, 1.0]], [[1.0, 1.0]]])
    joined = transforms.join_alpha(grey(0.5, 1, 4, batch=3), mask)
    assert joined[:, 0, :, 3].tolist() == [[1, 0.75, 0.25, 0], [0, 0, 0, 0]]


def test_a_picture_without_alpha_is_opaque():
    assert transforms.split_alpha(grey(0.5, 2, 3))[1].tolist() == [[[0.0] * 3] * 2]
    with pytest.raises(BadImage):
        transforms.split_alpha(grey(0.5, 2, 3, channels=1))
