"""Merges of two models: each weight of the one times a factor, plus the same weight of the other times another.

Models need not be quite alike: an inpainting model takes a merge with an ordinary one, whose first convolution reads
fewer channels. Weights correspond by their place in the original layout.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from diffusion.architecture import ClipConfig
from diffusion.errors import DiffusionError
from diffusion.keys import NameMap
from diffusion.patches.apply import Change
from diffusion.patches.lora import Shapes
from diffusion.values import Share

log = logging.getLogger("latentgraph.merge")


class CannotMerge(DiffusionError):
    """Two models whose weights do not correspond."""

    default_code = "cannot_merge"


@dataclass(frozen=True, slots=True, eq=False)
class Counterpart:
    """A model to be merged into another: its parameters' shapes, the parameter of a name, and each one's place in the
    original layout, by which it meets that of the other model."""

    shapes: Shapes
    read: Callable[[str], Tensor]
    place: NameMap


def clip_places(configs: Sequence[ClipConfig]) -> NameMap:
    """For the list of a model's text encoders, which names them by their number: names that say which encoder it is, so
    that CLIP-L meets CLIP-L whatever stands beside it."""
    kinds = ["clip_l" if each.pad else "clip_h" if each.norm_hidden else "clip_g" for each in configs]

    def place(name: str) -> str:
        number, _, rest = name.partition(".")
        return f"{kinds[int(number)]}.{rest}"

    return place


def check_merge(own: Shapes, other: Shapes, place: NameMap, other_place: NameMap, *, other_name: str) -> None:
    """Raise CannotMerge when no weight of a model has one of the same shape in the other; note in the log those that
    both have in different shapes."""
    theirs = {other_place(name): shape for name, shape in other.items()}
    shared = {name: theirs[place(name)] for name in own if place(name) in theirs}
    unlike = [name for name, shape in shared.items() if shape != own[name]]
    if len(unlike) == len(shared):
        raise CannotMerge(
            f"None of the {len(own)} weights has a counterpart of the same shape in {other_name}.",
            hint="Merge models of one family and size.",
        )
    if unlike:
        log.warning(
            "%s: %d of %d weights have another shape and are not merged, %s the first: %s, not %s",
            other_name, len(unlike), len(own), place(unlike[0]), list(shared[unlike[0]]), list(own[unlike[0]]),
        )  # fmt: skip


def merge_changes(
    own: Shapes, other: Counterpart, shares: Sequence[Share], place: NameMap
) -> dict[str, tuple[Change, ...]]:
    """For each parameter that a merge changes, how.

    `own` are the shapes of the parameters by name; `place` gives a parameter's place in the model's single-file layout,
    to which the prefixes of `shares` refer. A weight that the other lacks stays as it is. One that it has in another
    shape is only multiplied by its own share: so does ComfyUI.
    """
    theirs = {other.place(name): name for name in other.shapes}
    changes: dict[str, tuple[Change, ...]] = {}
    for name, shape in own.items():
        share, found = share_of(place(name), shares), theirs.get(place(name))
        if share is None or found is None or (share.own == 1.0 and share.other == 0.0):
            continue
        if other.shapes[found] == shape:
            changes[name] = (partial(_mix, partial(other.read, found), share),)
        elif share.own != 1.0:
            changes[name] = (partial(_scale, share.own),)
    return changes


def share_of(name: str, shares: Sequence[Share]) -> Share | None:
    """The share with the longest prefix of a name."""
    fitting = [share for share in shares if name.startswith(share.prefix)]
    return max(fitting, key=lambda share: len(share.prefix), default=None)


def _mix(other: Callable[[], Tensor], share: Share, weight: Tensor) -> Tensor:
    return weight * share.own + other().to(weight.device).float() * share.other


def _scale(factor: float, weight: Tensor) -> Tensor:
    return weight * factor
