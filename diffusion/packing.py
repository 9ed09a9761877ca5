"""Keeps the weights of convolutions and linear layers in the order that the processor's matrix instructions read.

oneDNN reorders a plain weight at every call, which at small pictures takes longer than the multiplication itself. Done
once, at loading, a pass of Stable Diffusion 1.5 at 256×256 takes three fifths of the time. The reordered weight takes
the place of the plain one, so it costs no memory; `plain` gives it back in its usual order.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def can_pack(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether weights of that type are multiplied by oneDNN on that device."""
    return (
        device.type == "cpu"
        and dtype == torch.bfloat16
        and torch.backends.mkldnn.is_available()
        and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    )


class PackedConv2d(nn.Conv2d):
    """A convolution whose weight may be packed."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.weight.is_mkldnn:
            return super().forward(input)
        return torch.ops.mkldnn._convolution_pointwise(
            input, self.weight, self.bias, self.padding, self.stride, self.dilation, self.groups, "none", [], ""
        )


class PackedLinear(nn.Linear):
    """A linear layer whose weight may be packed."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.weight.is_mkldnn:
            return super().forward(input)
        return torch.ops.mkldnn._linear_pointwise(input, self.weight, self.bias, "none", [], "")


def make_packable(module: nn.Module) -> None:
    """Turn the plain convolutions and linear layers of a module into ones that take packed weights."""
    for each in module.modules():
        if type(each) is nn.Conv2d and each.padding_mode == "zeros" and not isinstance(each.padding, str):
            each.__class__ = PackedConv2d
        elif type(each) is nn.Linear:
            each.__class__ = PackedLinear


def packable(layer: nn.Module, leaf: str) -> bool:
    """Whether a parameter of a layer can be packed."""
    return leaf == "weight" and isinstance(layer, (PackedConv2d, PackedLinear))


def packed(layer: nn.Module, weight: Tensor) -> Tensor:
    """A copy of a packable layer's weight in the order in which the layer multiplies it fastest."""
    if isinstance(layer, PackedConv2d):
        place: Any = [list(each) for each in (layer.padding, layer.stride, layer.dilation)]
        return torch.ops.mkldnn._reorder_convolution_weight(weight, *place, layer.groups, None)
    return torch.ops.mkldnn._reorder_linear_weight(weight, None)


def plain(weight: Tensor) -> Tensor:
    """A weight in its usual order, whether or not it is packed."""
    return weight.to_dense() if weight.is_mkldnn else weight
