"""Control networks among the prompts of a run: whose prompts they guide, and the sum of what they add.

`control` on a `CondEntry` is a tuple of uses, which the model turns into `Control`s; `control_both` says that the
negative prompt follows them too, unless it has its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from diffusion.sampling.protocols import Control, Residuals
from diffusion.values import CondEntry


def with_shared_controls(positives: Sequence[CondEntry], negatives: Sequence[CondEntry]) -> list[CondEntry]:
    """The negative prompts, with the control networks that the positive ones share with them.

    Prompts with an area neither share nor take; a negative side that has a control network of its own keeps to it.
    """
    given = [each for each in positives if each.options.get("control_both") and _whole(each)]
    takers = [place for place, each in enumerate(negatives) if _whole(each)]
    taken = list(negatives)
    if not takers or any(negatives[place].options.get("control") for place in takers):
        return taken
    for index, giver in enumerate(given):
        place = takers[index % len(takers)]
        entry = negatives[place]
        taken[place] = CondEntry(entry.embedding, entry.pooled, {**entry.options, "control": giver.options["control"]})
    return taken


def _whole(entry: CondEntry) -> bool:
    return entry.options.get("area") is None and not (
        entry.options.get("area_to_mask_bounds") and entry.options.get("mask") is not None
    )


def summed(
    controls: Sequence[Control], sigma: float, x: Tensor, timestep: Tensor, context: Tensor, pooled: Tensor | None
) -> Residuals | None:
    """What the control networks that are active at `sigma` add together; None when none is."""
    total: Residuals | None = None
    for control in controls:
        if control.active(sigma):
            found = control.residuals(x, timestep, context, pooled)
            total = found if total is None else total.plus(found)
    return total
