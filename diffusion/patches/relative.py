"""Adapters whose change of a weight depends on the weight itself.

OFT (Qiu et al. 2023) turns the outputs of a layer, in blocks, by rotations; BOFT (Liu et al. 2023) by several turns of
ever wider groups, as in a fast Fourier transform. A rotation is stored as the matrix whose skew part is its Cayley
transform. GLoRA (Chavan et al. 2023) adds W·A + B, both of low rank. Everything is float32.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


class RelativeDelta(ABC):
    """The change of a weight that has to be known first."""

    rank: int | None = None
    """What alpha is divided by; None where alpha is no scale."""

    @abstractmethod
    def change_of(self, weight: Tensor, strength: float) -> Tensor:
        """The change of a float32 weight, in its shape, which is then taken `strength` times."""

    @abstractmethod
    def fits(self, shape: torch.Size) -> bool:
        """Whether this can change a weight of that shape."""


@dataclass(frozen=True, slots=True, eq=False)
class OftDelta(RelativeDelta):
    """`blocks` [k, n, n]: a rotation for each n of the k·n outputs. `limit` bounds its angle; 0 does not.

    With the rotation R, the change of a weight W at a strength s is s · (s · (R − 1)ᵀ W): ComfyUI takes the strength
    twice, and files are tuned to that.
    """

    blocks: Tensor
    limit: float = 0.0

    def change_of(self, weight: Tensor, strength: float) -> Tensor:
        count, size, _ = self.blocks.shape
        turn = _rotations(self.blocks, self.limit) - torch.eye(size, device=weight.device)
        grouped = weight.reshape(count, size, -1)
        return (strength * turn.transpose(1, 2) @ grouped).reshape(weight.shape)

    def fits(self, shape: torch.Size) -> bool:
        return self.blocks.shape[0] * self.blocks.shape[1] == shape[0]


@dataclass(frozen=True, slots=True, eq=False)
class BoftDelta(RelativeDelta):
    """`blocks` [m, k, n, n]: m turns of the outputs, in which those of a block lie ever further apart. `lengths`
    stretches each output afterwards. The strength is taken twice, as in OftDelta."""

    blocks: Tensor
    limit: float = 0.0
    lengths: Tensor | None = None

    def change_of(self, weight: Tensor, strength: float) -> Tensor:
        turns, count, size, _ = self.blocks.shape
        still = torch.eye(size, device=weight.device)
        rotations = torch.lerp(still.expand(self.blocks.shape), _rotations(self.blocks, self.limit), strength)
        outputs = weight.flatten(1)
        order = torch.arange(len(outputs), device=weight.device)
        for turn in range(turns):
            apart = 2**turn * (size // 2)
            chosen = order.reshape(-1, 2, apart).transpose(1, 2).reshape(-1)
            turned = rotations[turn] @ outputs[chosen].reshape(count, size, -1)
            outputs = torch.empty_like(outputs).index_copy_(0, chosen, turned.reshape(outputs.shape))
        outputs = outputs.reshape(weight.shape)
        return (outputs if self.lengths is None else outputs * self._stretch(weight)) - weight

    def fits(self, shape: torch.Size) -> bool:
        turns, count, size, _ = self.blocks.shape
        whole = size % 2 == 0 and count * size % (2**turns * (size // 2)) == 0
        return whole and count * size == shape[0]

    def _stretch(self, weight: Tensor) -> Tensor:
        assert self.lengths is not None
        return self.lengths.reshape(-1, *[1] * (weight.ndim - 1))


@dataclass(frozen=True, slots=True, eq=False)
class GloraDelta(RelativeDelta):
    """W·a1·a2 + b1·b2, with a1 [in, r], a2 [r, in], b1 [out, r], b2 [r, in, …]."""

    a1: Tensor
    a2: Tensor
    b1: Tensor
    b2: Tensor

    @property
    def rank(self) -> int | None:  # type: ignore[override]
        return self.a2.shape[0]

    def change_of(self, weight: Tensor, strength: float) -> Tensor:
        del strength
        inner = torch.einsum("oi...,ir->or...", weight, self.a1.flatten(1))
        own = torch.einsum("or...,ri->oi...", inner, self.a2.flatten(1))
        return own + (self.b1.flatten(1) @ self.b2.flatten(1)).reshape(weight.shape)

    def fits(self, shape: torch.Size) -> bool:
        rank = self.a2.shape[0]
        ranks = (self.a1.flatten(1).shape[1], self.b1.flatten(1).shape[1], self.b2.shape[0])
        inputs = self.a1.shape[0] == self.a2.flatten(1).shape[1] == (shape[1] if len(shape) > 1 else 0)
        outputs = self.b1.shape[0] == shape[0] and self.b2.flatten(1).shape[1] == shape[1:].numel()
        return inputs and outputs and ranks == (rank, rank, rank)


@dataclass(frozen=True, slots=True, eq=False)
class Replacement(RelativeDelta):
    """Another weight, which takes the place of the old at any strength: so does ComfyUI."""

    value: Tensor

    def change_of(self, weight: Tensor, strength: float) -> Tensor:
        return (self.value.reshape(weight.shape) - weight) / strength

    def fits(self, shape: torch.Size) -> bool:
        return self.value.shape == shape


def relative(parts: Mapping[str, Tensor]) -> RelativeDelta | None:
    """The adapter that tensors make, by their names without the weight's; None when they make none of these."""
    if "set" in parts:
        return Replacement(parts["set"])
    limit = float(parts["alpha"]) if "alpha" in parts else 0.0
    blocks = parts.get("oft_blocks")
    if blocks is not None:
        return OftDelta(blocks, limit) if blocks.ndim == 3 else BoftDelta(blocks, limit, parts.get("rescale"))
    names = ("glora.a1", "glora.a2", "glora.b1", "glora.b2")
    if not any(name in parts for name in names):
        return None
    a1, a2, b1, b2 = (parts[name] for name in names)
    if a1.shape[0] == b1.shape[0] == a2.flatten(1).shape[1] == b2.flatten(1).shape[1] and a1.shape[0] < a2.shape[0]:
        return GloraDelta(a2, a1, b2, b1)  # the first form of the files, which names the factors the other way round
    return GloraDelta(a1, a2, b1, b2)


def _rotations(blocks: Tensor, limit: float) -> Tensor:
    """The Cayley transforms (1 + Q)(1 − Q)⁻¹ of the skew parts Q, which all together are no longer than `limit`."""
    skew = blocks - blocks.transpose(-1, -2)
    length = float(torch.linalg.vector_norm(skew))
    if 0 < limit < length:
        skew = skew * (limit / length)
    still = torch.eye(blocks.shape[-1], device=blocks.device)
    return torch.linalg.solve(still - skew, still + skew, left=False)
