"""Runs a network on a picture tile by tile, and joins what it gives with blended seams.

Each tile's weight rises over the overlap from each of its ends, and the sum is divided by the summed weights. So the
parts that two tiles share fade from the one into the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import NamedTuple

import torch
from torch import Tensor


class Tiling(NamedTuple):
    """Tiles of rows × columns that overlap by `overlap` on each side; all in cells of the input."""

    rows: int
    columns: int
    overlap: int

    def places(self, height: int, width: int) -> list[tuple[int, int]]:
        """Where the tiles of an input begin, row by row."""
        return [
            (top, left)
            for top in _starts(height, self.rows, self.overlap)
            for left in _starts(width, self.columns, self.overlap)
        ]

    def count(self, shape: Sequence[int]) -> int:
        """How many times a network runs on an input `[B, C, h, w]`."""
        height, width = shape[-2:]
        return shape[0] * (1 if self.fits(height, width) else len(self.places(height, width)))

    def fits(self, height: int, width: int) -> bool:
        """Whether one tile holds the whole input."""
        return height <= self.rows and width <= self.columns


def in_tiles(
    network: Callable[[Tensor], Tensor],
    values: Tensor,
    tiling: Tiling,
    scale: int | Fraction,
    after_each: Callable[[], None],
) -> Tensor:
    """float32 [B, C, h, w] → [B, D, scale·h, scale·w] on the CPU, each item on its own.

    `network` takes and gives one tile; `scale` is its output's size by its input's. An input that fits into one tile
    goes through as it is. `after_each` is called after each tile and may raise to stop.
    """
    height, width = values.shape[-2:]
    results: list[Tensor] = []
    for item in values.split(1):
        if tiling.fits(height, width):
            results.append(network(item).float().cpu())
            after_each()
            continue
        total: Tensor | None = None
        weights = torch.zeros(1, 1, int(height * scale), int(width * scale))
        for top, left in tiling.places(height, width):
            made = network(item[:, :, top : top + tiling.rows, left : left + tiling.columns]).float().cpu()
            if total is None:
                total = torch.zeros(1, made.shape[1], *weights.shape[-2:])
            feather = int(tiling.overlap * scale)
            weight = _ramps(made.shape[-2], feather)[:, None] * _ramps(made.shape[-1], feather)[None]
            rows = slice(int(top * scale), int(top * scale) + made.shape[-2])
            columns = slice(int(left * scale), int(left * scale) + made.shape[-1])
            total[:, :, rows, columns] += made * weight
            weights[:, :, rows, columns] += weight
            after_each()
        assert total is not None  # a side has at least one tile
        results.append(total.div_(weights))
    return torch.cat(results)


def _starts(length: int, tile: int, overlap: int) -> range:
    """Where tiles begin along a side. The last one may be smaller, and ends with the side."""
    return range(0, length - overlap, tile - overlap) if length > tile else range(1)


def _ramps(length: int, feather: int) -> Tensor:
    """Weights along a side of a tile: rising to 1 over `feather` cells, and falling again. A tile no longer than that
    counts in full."""
    weights = torch.ones(length)
    if feather < length:
        rise = torch.arange(1, feather + 1, dtype=torch.float32) / max(feather, 1)
        weights[:feather] *= rise
        weights[length - feather :] *= rise.flip(0)
    return weights
