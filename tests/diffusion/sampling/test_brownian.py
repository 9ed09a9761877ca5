"""The Brownian path is torchsde's."""

from __future__ import annotations

import warnings
from itertools import pairwise
from typing import cast

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchsde import BrownianTree

from diffusion.sampling.brownian import BrownianPath

LOW, HIGH = 0.0291671, 14.6146402
CPU = torch.device("cpu")


@given(
    st.lists(st.floats(LOW, HIGH), min_size=2, max_size=8, unique_by=lambda time: round(time, 6)),
    st.integers(0, 2**64 - 1),
)
@settings(max_examples=40, deadline=None)
def test_every_increment_is_that_of_the_tree(times: list[float], seed: int) -> None:
    path = BrownianPath(LOW, HIGH, (2, 3), seed, CPU)
    tree = BrownianTree(LOW, torch.zeros(2, 3), HIGH, entropy=seed)
    for first, second in pairwise(times):
        start, end = sorted((first, second))
        with warnings.catch_warnings(action="ignore"):  # a rounded end lies within the millionth that it says
            expected = cast("Tensor", tree(start, end))
        assert torch.allclose(path.increment(start, end), expected, atol=5e-6)


def test_the_order_of_questions_does_not_matter() -> None:
    down, up = (BrownianPath(LOW, HIGH, (64,), 1, CPU) for _ in range(2))
    points = [0.03, 0.5, 1.0, 2.5, 7.0, 14.0]
    forth = [up.increment(a, b) for a, b in pairwise(points)]
    back = [down.increment(a, b) for a, b in reversed(list(pairwise(points)))]
    for one, other in zip(forth, reversed(back), strict=True):
        assert torch.equal(one, other)


def test_backwards_is_the_opposite() -> None:
    path = BrownianPath(LOW, HIGH, (64,), 1, CPU)
    assert torch.equal(path.increment(3.0, 1.0), -path.increment(1.0, 3.0))
