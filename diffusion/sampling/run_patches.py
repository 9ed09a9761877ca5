"""What a model patch may change in a run: the seam between sampling and `diffusion.model_patches`.

A patch is made anew for each run and may keep what it saw from one call to the next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from diffusion.sampling.protocols import Start
from diffusion.values import Conditioning


@dataclass(frozen=True, slots=True)
class PassInfo:
    """One forward pass: its noise level, the size (height, width) of the piece of the latent it sees, and the sides
    whose prompts are stacked in it, in order, each with `batch` rows. `second` is the side that ComfyUI counts second
    in this guidance."""

    sigma: float
    size: tuple[int, int]
    sides: tuple[str, ...]
    batch: int
    second: str = "negative"


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What one prediction was made of: the latent `x`, the clean latent of both sides, and the way to ask for more."""

    x: Tensor
    sigma: float
    positive: Tensor
    negative: Tensor | None
    cfg: float
    ask: Callable[[Tensor, str, Sequence[RunPatch]], Tensor]
    """The clean latent of a side ("positive" or "negative"), or of a patch's own prompt, for some latent, with further
    patches in place."""
    empty: Tensor | None = None
    """The clean latent of the empty prompt, where the guider has one."""

    @property
    def unconditional(self) -> Tensor:
        """The negative side; zeros where it was not predicted. ComfyUI's patches reckon with those too."""
        return torch.zeros_like(self.positive) if self.negative is None else self.negative


class RunPatch:
    """A patch that changes nothing; each kind overrides what it changes."""

    needs_negative: bool = False
    """Whether the negative must be predicted even where guidance would not need it."""
    prompts: Mapping[str, Conditioning] = MappingProxyType({})
    """Prompts of its own, by the names by which it asks for them."""

    def during(self, call: PassInfo) -> AbstractContextManager[object]:
        """Entered around each forward pass; may hook into the network."""
        del call
        return nullcontext()

    def before(self, seen: Seen) -> Seen:
        """The sides, changed before they are mixed. Guidance by two prompts does not ask."""
        return seen

    def mix(self, seen: Seen) -> Tensor | None:
        """The guided clean latent, or None where the patch does not mix; one that does must do so without a negative,
        too. Perp-Neg does not ask."""
        del seen
        return None

    def after(self, guided: Tensor, seen: Seen) -> Tensor:
        """The guided clean latent, changed."""
        del seen
        return guided

    def mask(self, mask: Tensor, sigma: float) -> Tensor:
        """The noise mask `[B,1,h,w]` to sample with at a noise level."""
        del sigma
        return mask


@runtime_checkable
class PatchedModel(Protocol):
    """A model that brings patches along."""

    def run_patches(self, start: Start, sigmas: Sequence[float]) -> tuple[RunPatch, ...]:
        """The patches for one run over `sigmas`."""
        ...


def patches_of(model: object, start: Start, sigmas: Sequence[float]) -> tuple[RunPatch, ...]:
    """The patches of a model for one run; none for a model that has no such thing."""
    return model.run_patches(start, sigmas) if isinstance(model, PatchedModel) else ()


def prepared(seen: Seen, patches: Sequence[RunPatch]) -> Seen:
    """What was seen, with the sides as each patch changes them in turn."""
    for patch in patches:
        seen = patch.before(seen)
    return seen


def mixed(seen: Seen, patches: Sequence[RunPatch]) -> Tensor:
    """Guidance from one side to the other as the patches have it: the last that mixes does, and each may change the
    result."""
    return changed(_mix(seen, patches), seen, patches)


def changed(guided: Tensor, seen: Seen, patches: Sequence[RunPatch]) -> Tensor:
    """A guided clean latent as each patch changes it in turn."""
    for patch in patches:
        guided = patch.after(guided, seen)
    return guided


def _mix(seen: Seen, patches: Sequence[RunPatch]) -> Tensor:
    for patch in reversed(patches):
        result = patch.mix(seen)
        if result is not None:
            return result
    if seen.negative is None:
        return seen.positive
    return torch.lerp(seen.negative, seen.positive, seen.cfg)
