"""One Brownian path per seed, looked up anywhere.

The path is that of torchsde's BrownianTree (Kidger et al. 2021), number for number, so that seeds mean what they mean
elsewhere: an interval is halved until the halves, rounded to a millionth, meet at the point asked for, and each halving
draws the path's value there from a generator seeded by its place in the tree. That tree draws for both halves of every
interval it passes; this one draws once, and goes on from the branch that it last came down: a fifth of the time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

_DIGITS = 6
_POOL = 24
_REMEMBERED = 4
"""Points whose values are kept: a step asks for its start, its end, and a point or two between."""


@dataclass(frozen=True, slots=True, eq=False)
class _Interval:
    """A node of the tree: its ends, the path's values there, and its place: the `number`-th of its `depth`."""

    start: float
    end: float
    at_start: Tensor
    at_end: Tensor
    number: int = 0
    depth: int = 0

    @property
    def middle(self) -> float:
        return round((self.start + self.end) / 2, _DIGITS)


class BrownianPath:
    """A path over times from `low` to `high`, of tensors of `shape`, drawn on `device` from `seed`."""

    def __init__(self, low: float, high: float, shape: Sequence[int], seed: int, device: torch.device) -> None:
        self._shape = tuple(shape)
        self._seed = seed
        self._device = device
        whole = self._draw(np.random.SeedSequence(entropy=seed, pool_size=_POOL), 3).mul_(math.sqrt(high - low))
        root = _Interval(round(low, _DIGITS), round(high, _DIGITS), torch.zeros_like(whole), whole)
        self._branch = [root]
        self._ends = {root.start: root.at_start, root.end: root.at_end}
        self._values: dict[float, Tensor] = {}

    def increment(self, start: float, end: float) -> Tensor:
        """The path's value at `end` less that at `start`; times beyond the ends count as the ends."""
        return self._value(end) - self._value(start)

    def _value(self, time: float) -> Tensor:
        root = self._branch[0]
        time = min(max(round(time, _DIGITS), root.start), root.end)
        known = self._ends.get(time, self._values.get(time))
        if known is not None:
            return known
        value = self._descend(time)
        self._values[time] = value
        if len(self._values) > _REMEMBERED:
            del self._values[next(iter(self._values))]
        return value

    def _descend(self, time: float) -> Tensor:
        """Halve intervals down to `time`, from the deepest of the last branch that it lies in."""
        while not self._branch[-1].start < time < self._branch[-1].end:
            self._branch.pop()
        while True:
            interval = self._branch[-1]
            middle = interval.middle
            value = self._halve(interval, middle)
            if time == middle:
                return value
            depth = interval.depth + 1
            if time < middle:
                half = _Interval(interval.start, middle, interval.at_start, value, 2 * interval.number, depth)
            else:
                half = _Interval(middle, interval.end, value, interval.at_end, 2 * interval.number + 1, depth)
            self._branch.append(half)

    def _halve(self, interval: _Interval, middle: float) -> Tensor:
        """The path's value in the middle of an interval, given those at its ends (a Brownian bridge)."""
        before, after = middle - interval.start, interval.end - middle
        width = interval.end - interval.start
        place = (interval.number, interval.depth)
        fresh = self._draw(np.random.SeedSequence(entropy=self._seed, spawn_key=place, pool_size=_POOL), 4)
        mean = torch.lerp(interval.at_start, interval.at_end, before / width)
        return mean.add_(fresh, alpha=math.sqrt(before * after / width))

    def _draw(self, seeds: np.random.SeedSequence, count: int) -> Tensor:
        """Standard normal noise from the first of `count` numbers that the sequence gives."""
        generator = torch.Generator(self._device).manual_seed(int(seeds.generate_state(count)[0]))
        return torch.randn(self._shape, device=self._device, generator=generator)
