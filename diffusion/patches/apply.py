"""Makes a changed copy of a module that shares with the original every weight that stays as it is.

The original is kept, so that other strengths start from exact weights and not from weights that were changed and
changed back. Each weight is computed in float32, whatever it is stored in, and rounded once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor, nn

from diffusion.held import HeldWeights, held_by

M = TypeVar("M", bound=nn.Module)

Change = Callable[[Tensor], Tensor]
"""One change of one weight: float32 in, float32 out, on the same device; it may not write to what it is given."""

Changes = Mapping[str, tuple[Change, ...]]
"""For each parameter that changes, what is done to it, in order."""


def changed_copy(module: M, changes: Changes, rounded: torch.dtype | None = None) -> M:
    """A copy of a module with some parameters changed and all others shared. `rounded` is a type that changed weights
    are rounded to, whatever they are kept in. Nothing is computed before the copy's weights are held."""
    held = held_by(module)
    reads = {name: partial(_changed, held, name, steps, rounded) for name, steps in changes.items()}
    return held.copy(reads)


def _changed(held: HeldWeights, name: str, steps: Sequence[Change], rounded: torch.dtype | None) -> Tensor:
    value = held.weight(name).to(held.device).float()
    for step in steps:
        value = step(value)
    return value if rounded is None else value.to(rounded)
