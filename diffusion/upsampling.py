"""Makes one transposed convolution of a decoder's upsampling: the doubling of a picture and the convolution after it.

Doubling repeats each place, so that four of the nine products of the convolution have a factor in common. Folded into a
kernel of 4×4 they cost less than half, and the doubled picture is never made. The numbers differ by the rounding of the
folded weights, so this is for computing in few bits only.
"""

from __future__ import annotations

import torch
from diffusers.models.upsampling import Upsample2D
from torch import Tensor, nn
from torch.nn import functional

from diffusion.packing import can_pack


class FoldedUpsample(nn.Module):
    """Upsampling of [B, C, H, W] to [B, C, 2H, 2W] with a convolution behind it. Its weight is made by `folded`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(channels, channels, kernel_size=4, stride=2, padding=1)

    def forward(self, hidden_states: Tensor) -> Tensor:
        return self.conv(hidden_states)


def fold_upsamplers(module: nn.Module, device: torch.device, dtype: torch.dtype) -> frozenset[str]:
    """Fold the upsamplers of a decoder without weights, where that is faster: on a processor that multiplies in few
    bits. → the names of the weights that `folded` has to make."""
    if not can_pack(device, dtype):
        return frozenset()
    found = [name for name, each in module.named_modules() if isinstance(each, Upsample2D) and _is_plain(each)]
    for name in found:
        channels = module.get_submodule(name).get_parameter("conv.weight").shape[0]
        with torch.device("meta"):
            module.set_submodule(name, FoldedUpsample(channels))
    return frozenset(f"{name}.conv.weight" for name in found)


def folded(weight: Tensor) -> Tensor:
    """The kernel float32 [C in, C out, 4, 4] of a transposed convolution of stride 2 that does what a doubling and a
    convolution by `weight` [C out, C in, 3, 3] do: that one turned round, summed over the 2×2 places of each repeat."""
    turned = weight.float().flip(-1, -2).transpose(0, 1)
    return functional.avg_pool2d(functional.pad(turned, (1, 1, 1, 1)), 2, stride=1, divisor_override=1)


def _is_plain(layer: Upsample2D) -> bool:
    weight = layer.get_parameter("conv.weight") if isinstance(layer.conv, nn.Conv2d) else None
    return weight is not None and weight.shape[0] == weight.shape[1] and layer.norm is None and layer.interpolate
