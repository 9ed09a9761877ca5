"""The uses of control networks that a prompt carries among its options."""

from __future__ import annotations

from typing import cast

from diffusion.errors import DiffusionError
from diffusion.values import CondEntry, Conditioning, ControlUse

OPTION = "control"
"""The option of a `CondEntry`: a tuple of ControlUse, in the order in which they were applied."""

PROMPT = "cross_attn_controlnet"
"""The option of a `CondEntry`: another prompt's embedding [B, T, C], which its control networks read in its place."""


def uses_of(entry: CondEntry) -> tuple[ControlUse, ...]:
    """What a prompt carries. Raises DiffusionError when its option is no tuple of uses."""
    uses = entry.options.get(OPTION, ())
    if not isinstance(uses, tuple) or not all(isinstance(use, ControlUse) for use in uses):
        raise DiffusionError(f"A conditioning's {OPTION} must be a tuple of ControlUse.", code="bad_conditioning")
    return cast("tuple[ControlUse, ...]", uses)


def with_use(conditioning: Conditioning, use: ControlUse, **options: object) -> Conditioning:
    """The same prompts, each with a further use, and with these options."""
    return Conditioning(
        tuple(
            CondEntry(each.embedding, each.pooled, {**each.options, **options, OPTION: (*uses_of(each), use)})
            for each in conditioning.entries
        )
    )
