"""Multiplies the weights and biases of some layers, told by the end of their names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

import torch

from diffusion.patches.apply import Change


def multiply_changes(names: Iterable[str], factors: Sequence[tuple[str, float]]) -> dict[str, tuple[Change, ...]]:
    """For each parameter that `factors` multiply, how: the pairs are the end of a layer's name, such as `attn1.to_q`,
    and its factor."""
    changes: dict[str, tuple[Change, ...]] = {}
    for name in names:
        layer, _, _ = name.rpartition(".")
        for ending, factor in factors:
            if layer.endswith(ending):
                changes[name] = (partial(torch.mul, other=factor),)
    return changes
