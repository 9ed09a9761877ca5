"""Grey morphology against scipy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from diffusion.ops.morphology import change


def image() -> torch.Tensor:
    return torch.rand(2, 13, 9, 3, generator=torch.Generator().manual_seed(3))


def by_scipy(picture: np.ndarray, operation: str, side: int) -> np.ndarray:
    def filtered(values: np.ndarray, pick: str) -> np.ndarray:
        run, beyond = (ndimage.maximum_filter, -np.inf) if pick == "max" else (ndimage.minimum_filter, np.inf)
        return run(values, size=(side, side, 1), mode="constant", cval=beyond)

    eroded, dilated = filtered(picture, "min"), filtered(picture, "max")
    opened, closed = filtered(eroded, "max"), filtered(dilated, "min")
    return {
        "erode": eroded, "dilate": dilated, "open": opened, "close": closed, "gradient": dilated - eroded,
        "bottom_hat": closed - picture, "top_hat": picture - opened,
    }[operation]  # fmt: skip


@pytest.mark.parametrize("side", [3, 4, 7, 30])
@pytest.mark.parametrize("operation", ["erode", "dilate", "open", "close", "gradient", "bottom_hat", "top_hat"])
def test_every_operation_treats_each_channel_as_scipy_does(operation: str, side: int):
    for picture, result in zip(image(), change(image(), operation, side), strict=True):
        np.testing.assert_array_equal(result.numpy(), by_scipy(picture.numpy(), operation, side))


def test_an_even_window_reaches_further_to_the_left_and_up():
    dot = torch.zeros(1, 7, 7, 1)
    dot[0, 3, 3] = 1.0
    rows = change(dot, "dilate", 4)[0, :, :, 0].amax(dim=1).tolist()
    assert rows == [0, 0, 1, 1, 1, 1, 0]  # row 5 looks back at rows 3 to 6, row 2 at 0 to 3


def test_an_operation_that_is_none_is_refused():
    with pytest.raises(ValueError, match="sharpen"):
        change(image(), "sharpen", 3)
