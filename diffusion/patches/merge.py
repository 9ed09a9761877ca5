"""Merges of two models: each weight of the one times a factor, plus the same weight of the other times another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from torch import Tensor

from diffusion.errors import DiffusionError
from diffusion.patches.apply import Change
from diffusion.patches.lora import Shapes
from diffusion.values import Share


class CannotMerge(DiffusionError):
    """Two models whose weights do not correspond."""

    default_code = "cannot_merge"


def merge_changes(
    own: Shapes,
    other: Shapes,
    read: Callable[[str], Tensor],
    shares: Sequence[Share],
    place: Callable[[str], str],
    *,
    other_name: str,
) -> dict[str, tuple[Change, ...]]:
    """For each parameter that a merge changes, how.

    `own` and `other` are the shapes of both's parameters by name, and `read` gives a parameter of the other; `place`
    gives a parameter's place in the model's single-file layout, to which the prefixes of `shares` refer. Raises
    CannotMerge when a parameter has no counterpart of the same shape.
    """
    changes: dict[str, tuple[Change, ...]] = {}
    unlike: list[str] = []
    for name, shape in own.items():
        share = share_of(place(name), shares)
        if share is None or (share.own == 1.0 and share.other == 0.0):
            continue
        if other.get(name) != shape:
            unlike.append(name)
        else:
            changes[name] = (partial(_mix, partial(read, name), share),)
    if unlike:
        raise CannotMerge(
            f"{len(unlike)} of {len(own)} weights have no counterpart of the same shape in {other_name}, "
            f"{unlike[0]} the first.",
            hint="Merge models of one family and size.",
            input="model2",
        )
    return changes


def share_of(name: str, shares: Sequence[Share]) -> Share | None:
    """The share with the longest prefix of a name."""
    fitting = [share for share in shares if name.startswith(share.prefix)]
    return max(fitting, key=lambda share: len(share.prefix), default=None)


def _mix(other: Callable[[], Tensor], share: Share, weight: Tensor) -> Tensor:
    return weight * share.own + other().to(weight.device).float() * share.other
