"""Nodes that mix whole models, weight by weight."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from diffusion.values import ClipRef, MergePatch, ModelRef, Share
from nodes.sdk import Context, Help, NodeError, Range, node

_FIRST = Help("The model that the result begins from; sampling settings are its own.")
_SECOND = Help("A model of the same family. Where a weight of both differs in shape, only the first has a say.")
_RATIO = "1 takes the first model alone, 0 the second."


@node(title="Merge models", category="advanced/merging")
def ModelMergeSimple(
    context: Context,
    model1: Annotated[ModelRef, _FIRST],
    model2: Annotated[ModelRef, _SECOND],
    ratio: Annotated[float, Range(0.0, 1.0, 0.01), Help(f"The share of the first model: {_RATIO}")] = 1.0,
) -> ModelRef:
    """Mixes two denoisers: every weight is that of the first times the ratio plus that of the second times the rest."""
    return _models(context, model1, model2, Share("", ratio, 1 - ratio))


@node(title="Merge models by block", category="advanced/merging")
def ModelMergeBlocks(
    context: Context,
    model1: Annotated[ModelRef, _FIRST],
    model2: Annotated[ModelRef, _SECOND],
    input: Annotated[float, Range(0.0, 1.0, 0.01), Help(f"The first model's share of the way down: {_RATIO}")] = 1.0,
    middle: Annotated[float, Range(0.0, 1.0, 0.01), Help(f"The first model's share of the middle: {_RATIO}")] = 1.0,
    out: Annotated[float, Range(0.0, 1.0, 0.01), Help(f"The first model's share of the way up: {_RATIO}")] = 1.0,
) -> ModelRef:
    """Mixes two denoisers with a ratio for each part: the way down sets the composition, the way up the detail.

    What belongs to no block, such as the reading of the time, follows the way down.
    """
    parts = (("", input), ("input", input), ("middle", middle), ("out", out))
    return _models(context, model1, model2, *(Share(prefix, ratio, 1 - ratio) for prefix, ratio in parts))


@node(title="Add models", category="advanced/merging", aliases=("ModelAdd",))
def ModelMergeAdd(
    context: Context, model1: Annotated[ModelRef, _FIRST], model2: Annotated[ModelRef, _SECOND]
) -> ModelRef:
    """Adds the second denoiser's weights to the first's: for a difference that *Subtract models* made."""
    return _models(context, model1, model2, Share("", 1.0, 1.0))


@node(title="Subtract models", category="advanced/merging", aliases=("ModelSubtract",))
def ModelMergeSubtract(
    context: Context,
    model1: Annotated[ModelRef, _FIRST],
    model2: Annotated[ModelRef, _SECOND],
    multiplier: Annotated[float, Range(-10.0, 10.0, 0.01), Help("What the difference is multiplied by.")] = 1.0,
) -> ModelRef:
    """The difference of two denoisers, to be added to a third: what the first learned beyond the second."""
    return _models(context, model1, model2, Share("", multiplier, -multiplier))


@node(title="Merge text encoders", category="advanced/merging")
def CLIPMergeSimple(
    context: Context,
    clip1: Annotated[ClipRef, _FIRST],
    clip2: Annotated[ClipRef, _SECOND],
    ratio: Annotated[float, Range(0.0, 1.0, 0.01), Help(f"The share of the first text encoder: {_RATIO}")] = 1.0,
) -> ClipRef:
    """Mixes two text encoders, weight by weight."""
    return _clips(context, clip1, clip2, Share("", ratio, 1 - ratio))


@node(title="Add text encoders", category="advanced/merging", aliases=("CLIPAdd",))
def CLIPMergeAdd(context: Context, clip1: Annotated[ClipRef, _FIRST], clip2: Annotated[ClipRef, _SECOND]) -> ClipRef:
    """Adds the second text encoder's weights to the first's: for a difference that *Subtract text encoders* made."""
    return _clips(context, clip1, clip2, Share("", 1.0, 1.0))


@node(title="Subtract text encoders", category="advanced/merging", aliases=("CLIPSubtract",))
def CLIPMergeSubtract(
    context: Context,
    clip1: Annotated[ClipRef, _FIRST],
    clip2: Annotated[ClipRef, _SECOND],
    multiplier: Annotated[float, Range(-10.0, 10.0, 0.01), Help("What the difference is multiplied by.")] = 1.0,
) -> ClipRef:
    """The difference of two text encoders, to be added to a third."""
    return _clips(context, clip1, clip2, Share("", multiplier, -multiplier))


def _models(context: Context, model1: ModelRef, model2: ModelRef, *shares: Share) -> ModelRef:
    first, second = (context.residency.describe(each.file, each.config) for each in (model1, model2))
    if first.unet is None or second.unet is None or first.unet.channels != second.unet.channels:
        raise NodeError(
            f"{model1.file.name} ({first.family}) and {model2.file.name} ({second.family}) differ in their levels, so "
            "their weights cannot be mixed.",
            input="model2",
            code="cannot_merge",
            hint="Merge models of one family and size.",
        )
    _check(context, model1, model2, "model2")
    return replace(model1, patches=(*model1.patches, MergePatch(model2, shares)))


def _clips(context: Context, clip1: ClipRef, clip2: ClipRef, *shares: Share) -> ClipRef:
    _check(context, clip1, clip2, "clip2")
    return replace(clip1, patches=(*clip1.patches, MergePatch(clip2, shares)))


def _check(context: Context, first: ModelRef | ClipRef, second: ModelRef | ClipRef, input: str) -> None:
    from diffusion.patches.merge import CannotMerge

    try:
        context.residency.check_merge(first, second)
    except CannotMerge as error:
        error.input = input
        raise
