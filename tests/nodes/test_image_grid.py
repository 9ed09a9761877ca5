from __future__ import annotations

import pytest
import torch

from diffusion.errors import BadSize
from nodes.image_grid import ImageGrid


def pictures(count: int) -> torch.Tensor:
    return torch.arange(1, count + 1).reshape(-1, 1, 1, 1).expand(-1, 4, 6, 3) / 10


def test_pictures_stand_row_by_row_with_black_between():
    made = ImageGrid(pictures(3), 2, 1)
    assert made.shape == (1, 11, 15, 3)
    assert made[0, 1, 1, 0] == pytest.approx(0.1)
    assert made[0, 1, 8, 0] == pytest.approx(0.2)
    assert made[0, 6, 1, 0] == pytest.approx(0.3)
    assert not made[0, 6:, 8:].any()
    assert not made[0, 0].any()


@pytest.mark.parametrize(("count", "per_row", "shape"), [(9, 0, (12, 18)), (5, 0, (8, 18)), (2, 8, (4, 12))])
def test_the_grid_is_about_square_unless_told(count: int, per_row: int, shape: tuple[int, int]):
    assert tuple(ImageGrid(pictures(count), per_row, 0).shape[1:3]) == shape


def test_a_grid_too_large_to_hold_is_refused():
    with pytest.raises(BadSize):
        ImageGrid(torch.zeros(1, 1, 1, 3).expand(4096, 4096, 4096, 3))
