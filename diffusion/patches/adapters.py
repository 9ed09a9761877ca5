"""The mathematics of weight adapters: from the small matrices in a LoRA file to the change of one weight.

LoRA (Hu et al. 2021), LoHa and LoKr (Yeh et al. 2023, "Navigating Text-To-Image Customization"), each also in the
Tucker form for convolutions, and DoRA (Liu et al. 2024), which sets the length of each row or column of the changed
weight. Everything is float32. Adapters that depend on the weight itself are in `relative`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from diffusion.patches.relative import RelativeDelta


class Delta(Protocol):
    """The change of a weight before any scale."""

    def change(self) -> Tensor:
        """The change, float32, of as many values as the weight; its first dimension is the weight's."""
        ...

    @property
    def fan_out(self) -> int: ...

    @property
    def fan_in(self) -> int:
        """Inputs per output, of a convolution with or without its kernel."""
        ...

    @property
    def count(self) -> int:
        """How many values the change has."""
        ...

    @property
    def rank(self) -> int | None:
        """What alpha is divided by; None where alpha has no meaning."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class LoraDelta:
    """up [out, r, …] · down [r, in, …]; with `mid` [r, r, h, w] between two 1×1 factors of a convolution."""

    up: Tensor
    down: Tensor
    mid: Tensor | None = None

    def change(self) -> Tensor:
        up = self.up.flatten(1)
        if self.mid is None:
            return up @ self.down.flatten(1)
        return torch.einsum("or,rshw,si->oihw", up, self.mid, self.down.flatten(1))

    @property
    def fan_out(self) -> int:
        return self.up.shape[0]

    @property
    def fan_in(self) -> int:
        return self.down.shape[1]

    @property
    def count(self) -> int:
        kernel = math.prod(self.down.shape[2:]) * (math.prod(self.mid.shape[2:]) if self.mid is not None else 1)
        return self.fan_out * self.fan_in * kernel

    @property
    def rank(self) -> int | None:
        return self.down.shape[0]


@dataclass(frozen=True, slots=True, eq=False)
class LohaDelta:
    """The elementwise product of two low-rank matrices a·b, a [out, r], b [r, in]; with cores `t` [r, r, h, w] for
    convolutions, where a is [r, out]."""

    a1: Tensor
    b1: Tensor
    a2: Tensor
    b2: Tensor
    t1: Tensor | None = None
    t2: Tensor | None = None

    def change(self) -> Tensor:
        return _product(self.a1, self.b1, self.t1) * _product(self.a2, self.b2, self.t2)

    @property
    def fan_out(self) -> int:
        return self.a1.shape[0] if self.t1 is None else self.a1.shape[1]

    @property
    def fan_in(self) -> int:
        return self.b1.shape[1]

    @property
    def count(self) -> int:
        return self.fan_out * self.fan_in * (math.prod(self.t1.shape[2:]) if self.t1 is not None else 1)

    @property
    def rank(self) -> int | None:
        return self.b1.shape[0]


@dataclass(frozen=True, slots=True, eq=False)
class LokrDelta:
    """The Kronecker product of two blocks, each whole or itself a low-rank product. `rank` is that of the product that
    was decomposed last, and None when both blocks are whole."""

    first: Tensor
    second: Tensor
    rank: int | None

    def change(self) -> Tensor:
        first = self.first.reshape(*self.first.shape, *[1] * (self.second.ndim - self.first.ndim))
        return torch.kron(first, self.second)

    @property
    def fan_out(self) -> int:
        return self.first.shape[0] * self.second.shape[0]

    @property
    def fan_in(self) -> int:
        return self.first.shape[1] * self.second.shape[1]

    @property
    def count(self) -> int:
        return self.first.numel() * self.second.numel()


@dataclass(frozen=True, slots=True, eq=False)
class FullDelta:
    """The whole difference, stored as it is."""

    value: Tensor

    def change(self) -> Tensor:
        return self.value

    @property
    def fan_out(self) -> int:
        return self.value.shape[0]

    @property
    def fan_in(self) -> int:
        return self.value.shape[1] if self.value.ndim > 1 else 1

    @property
    def count(self) -> int:
        return self.value.numel()

    @property
    def rank(self) -> int | None:
        return None


@dataclass(frozen=True, slots=True, eq=False)
class Adapter:
    """What a file says about one weight. `magnitude` is DoRA's: the length of each output row [out, …], or of each
    input column [1, in, …]."""

    delta: Delta | RelativeDelta
    alpha: float | None = None
    magnitude: Tensor | None = None

    @property
    def scale(self) -> float:
        """alpha / rank, or 1 without an alpha."""
        rank = self.delta.rank
        return 1.0 if self.alpha is None or rank is None else self.alpha / rank

    def fits(self, shape: torch.Size) -> bool:
        """Whether this can change a weight of that shape."""
        if isinstance(self.delta, RelativeDelta):
            return self.delta.fits(shape)
        inputs = (shape[1], shape[1:].numel()) if len(shape) > 1 else (1,)
        return self.delta.fan_out == shape[0] and self.delta.fan_in in inputs and self.delta.count == shape.numel()

    def apply(self, weight: Tensor, strength: float) -> Tensor:
        """The changed weight, float32, from a float32 weight on the same device."""
        if isinstance(self.delta, RelativeDelta):
            change = self.delta.change_of(weight, strength)
        else:
            change = self.delta.change().reshape(weight.shape)
        if self.magnitude is None:
            return torch.add(weight, change, alpha=self.scale * strength)
        whole = _with_lengths(torch.add(weight, change, alpha=self.scale), weight, self.magnitude)
        return torch.lerp(weight, whole, strength)


def lokr(parts: Mapping[str, Tensor]) -> LokrDelta:
    """From the tensors of a LoKr, by their names: w1 or w1_a and w1_b; w2, or w2_a and w2_b with or without t2."""
    rank = None
    blocks: list[Tensor] = []
    for name, core in (("w1", None), ("w2", parts.get("t2"))):
        if name in parts:
            blocks.append(parts[name])
        else:
            rank = parts[f"{name}_b"].shape[0]
            blocks.append(_product(parts[f"{name}_a"], parts[f"{name}_b"], core))
    return LokrDelta(blocks[0], blocks[1], rank)


def _product(a: Tensor, b: Tensor, core: Tensor | None) -> Tensor:
    if core is None:
        return (a @ b.flatten(1)).reshape(a.shape[0], *b.shape[1:])
    return torch.einsum("rshw,si,ro->oihw", core, b, a)


def _with_lengths(changed: Tensor, weight: Tensor, magnitude: Tensor) -> Tensor:
    """DoRA: `changed` with each output row, or each input column, as long as `magnitude` says.

    One length per row, `[out, 1, …]`, is measured against the rows of `weight`, before the change: so does ComfyUI, and
    files are shared with its pictures. PEFT's, `[out]`, which ComfyUI does not read, is measured as the paper has it.
    """
    by_row = magnitude.shape[0] == weight.shape[0]
    kept = 0 if by_row else 1
    axes = [axis for axis in range(weight.ndim) if axis != kept]
    measured = weight if by_row and magnitude.ndim > 1 else changed
    length = torch.linalg.vector_norm(measured, dim=axes, keepdim=True)
    return changed * (magnitude.reshape(length.shape) / (length + torch.finfo(weight.dtype).eps))
