"""Keeps the weights of a text encoder in the half precision they are rounded to, where it computes in float32.

They are widened as they are used, which gives the same numbers from half the memory. A token's embedding is looked up
first and widened then.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class NarrowLinear(nn.Linear):
    """A linear layer whose weight may be narrower than what it computes in."""

    def forward(self, input: Tensor) -> Tensor:
        return functional.linear(input, self.weight.to(input.dtype), self.bias)


class NarrowEmbedding(nn.Embedding):
    """A table whose rows may be narrower than what is computed with them."""

    wide: torch.dtype

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input).to(self.wide)


def make_narrow(module: nn.Module, wide: torch.dtype) -> None:
    """Turn the linear layers and tables of a module into ones that take narrow weights and compute in `wide`."""
    for each in module.modules():
        if type(each) is nn.Linear:
            each.__class__ = NarrowLinear
        elif type(each) is nn.Embedding:
            each.__class__ = NarrowEmbedding
            each.__dict__["wide"] = wide


def takes_narrow(layer: nn.Module, leaf: str) -> bool:
    """Whether a parameter of a layer may be narrow."""
    return leaf == "weight" and isinstance(layer, (NarrowLinear, NarrowEmbedding))
