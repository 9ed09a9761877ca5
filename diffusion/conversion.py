"""Converts weights to the type they are computed in, one after another, in memory that is used again and again.

New memory is slow to write the first time, and torch converts float16 to bfloat16 value by value; by way of float32, in
pieces that stay in the processor's cache, it takes less than half the time. The numbers are the same: float32 holds
every value of either type.
"""

from __future__ import annotations

import torch
from torch import Tensor

_PIECE = 2**20


class Converter:
    """Converts tensors on the CPU to `dtype`. What it gives is overwritten by the next; `largest` is the most elements
    that one has."""

    def __init__(self, dtype: torch.dtype, largest: int) -> None:
        self._dtype = dtype
        self._into = torch.empty(largest, dtype=dtype)
        self._between = torch.empty(min(_PIECE, largest))

    def __call__(self, stored: Tensor) -> Tensor:
        """The tensor in `dtype`; itself when it has that type."""
        if stored.dtype == self._dtype:
            return stored
        into = self._into[: stored.numel()]
        if stored.dtype == torch.float32:
            return into.view(stored.shape).copy_(stored)
        for source, target in zip(stored.reshape(-1).split(_PIECE), into.split(_PIECE), strict=True):
            target.copy_(self._between[: len(source)].copy_(source))
        return into.view(stored.shape)
