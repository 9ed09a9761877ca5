"""Makes a changed copy of a module that shares with the original every weight that stays as it is.

The original is kept, so that other strengths start from exact weights and not from weights that were changed and
changed back. Each weight is computed in float32, whatever it is stored in, and rounded once.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)

Change = Callable[[Tensor], Tensor]
"""One change of one weight: float32 in, float32 out, on the same device; it may not write to what it is given."""

Changes = Mapping[str, tuple[Change, ...]]
"""For each parameter that changes, what is done to it, in order."""


@torch.inference_mode()
def changed_copy(module: M, changes: Changes, rounded: torch.dtype | None = None) -> M:
    """A copy of a module with some parameters changed and all others shared. `rounded` is a type that changed weights
    are rounded to, whatever they are kept in."""
    copied = shared_copy(module)
    for name, steps in changes.items():
        path, _, leaf = name.rpartition(".")
        weight = module.get_parameter(name)
        value = weight.detach().float()
        for step in steps:
            value = step(value)
        owner = copied.get_submodule(path)
        kept = value if rounded is None else value.to(rounded)
        setattr(owner, leaf, nn.Parameter(kept.to(weight.dtype), requires_grad=False))
    return copied


def shared_copy(module: M) -> M:
    """A copy of a module's structure that holds the same parameters and buffers."""
    kept: dict[int, object] = {id(each): each for each in (*module.parameters(), *module.buffers())}
    return copy.deepcopy(module, kept)


def own_bytes(copied: nn.Module, original: nn.Module) -> int:
    """The bytes of the parameters that a copy does not share."""
    shared = {id(each) for each in original.parameters()}
    return sum(each.numel() * each.element_size() for each in copied.parameters() if id(each) not in shared)
