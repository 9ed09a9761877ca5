"""HyperTile (tfernd 2023): self-attention within tiles of the picture, which makes large pictures faster."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from diffusion.model_options import HyperTileOption
from diffusion.model_patches.hooks import After, Before, first_input, hooked, with_first
from diffusion.model_patches.layout import self_attentions
from diffusion.sampling.run_patches import PassInfo, RunPatch

CELL = 8
SMALLEST_TILE = 32

Grid = tuple[int, int, int, int]
"""Rows and columns of tiles, and of tokens."""


class HyperTile(RunPatch):
    """Cuts the tokens of a level into tiles at least `tile_size` pixels long, at the first `max_depth` + 1 levels. With
    `swap_size` above 2 the number of tiles changes at random from layer to layer, so that no seam stays."""

    def __init__(self, unet: nn.Module, option: HyperTileOption, generator: torch.Generator) -> None:
        self._attentions = self_attentions(unet)
        self._tile = max(SMALLEST_TILE, option.tile_size) // CELL
        self._option = option
        self._generator = generator

    def during(self, call: PassInfo) -> AbstractContextManager[object]:
        cut: dict[int, Grid] = {}

        def before(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]):
            tokens = first_input(args, kwargs)
            grid = self._grid(tokens.shape[1], call.size)
            if grid is None:
                return None
            cut[id(module)] = grid
            args, kwargs = with_first(args, kwargs, into_tiles(tokens, grid))
            return args, {**kwargs, "encoder_hidden_states": into_runs(tokens, grid)}

        def after(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Tensor) -> Tensor | None:
            del args, kwargs
            grid = cut.pop(id(module), None)
            return None if grid is None else from_tiles(output, grid)

        first: Before = before
        last: After = after
        return hooked([(each, first) for each in self._attentions], [(each, last) for each in self._attentions])

    def _grid(self, tokens: int, size: tuple[int, int]) -> Grid | None:
        """The tiles for a level of so many tokens, or None where it isn't cut.

        The tokens of a picture that isn't square are cut as if it lay on its side, which scatters its tiles: so does
        ComfyUI, and shared pictures depend on it.
        """
        height, width = size
        for depth in range(self._option.max_depth + 1):
            rows, columns = width / 2**depth, height / 2**depth
            if tokens != rows * columns or rows % 1 or columns % 1:
                continue
            tile = self._tile * (2**depth if self._option.scale_depth else 1)
            down, across = self._parts(int(rows), tile), self._parts(int(columns), tile)
            return (down, across, int(rows), int(columns)) if down * across > 1 else None
        return None

    def _parts(self, length: int, tile: int) -> int:
        """Into how many equal parts, none shorter than a tile, a length is cut. It is drawn from the `swap_size`
        largest such numbers, of which the smallest is never drawn: with 64 cells, tiles of 32 and 2 numbers, 2 and not
        1."""
        counts = [length // part for part in range(min(tile, length), length + 1) if length % part == 0]
        counts = counts[: self._option.swap_size]
        if len(counts) == 1:
            return counts[0]
        return counts[int(torch.randint(0, len(counts) - 1, (1,), generator=self._generator))]


def into_tiles(tokens: Tensor, grid: Grid) -> Tensor:
    """`[B, rows·columns, C]` as `[B·tiles, tokens of a tile, C]`."""
    down, across, rows, columns = grid
    tiles = tokens.unflatten(1, (down, rows // down, across, columns // across)).transpose(2, 3)
    return tiles.flatten(0, 2).flatten(1, 2)


def into_runs(tokens: Tensor, grid: Grid) -> Tensor:
    """`[B, rows·columns, C]` as `[B·tiles, tokens of a tile, C]`, row after row and not tile by tile.

    This is what the tiles attend to: so does ComfyUI, which tiles the queries alone, and shared pictures depend on it.
    """
    return tokens.reshape(tokens.shape[0] * grid[0] * grid[1], -1, tokens.shape[-1])


def from_tiles(tiles: Tensor, grid: Grid) -> Tensor:
    """The reverse of `into_tiles`."""
    down, across, rows, columns = grid
    apart = tiles.unflatten(0, (-1, down, across)).unflatten(3, (rows // down, columns // across))
    return apart.transpose(2, 3).flatten(1, 4)
