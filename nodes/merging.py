"""Nodes that mix whole models, weight by weight."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from diffusion.errors import blaming
from diffusion.values import ClipRef, MergePatch, ModelRef, Share
from nodes.sdk import Context, Help, Keys, NodeError, Range, node

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


def _blocks(levels: int, end: str) -> tuple[str, ...]:
    """The names under which ComfyUI's files give each part of a U-Net its ratio, in its order. `end` follows the number
    of a block: names of Stable Diffusion 1 end in a dot, those of SDXL do not."""
    counts = {"input_blocks": levels, "middle_block": 3, "output_blocks": levels}
    blocks = (f"{way}.{number}{end}" for way, count in counts.items() for number in range(count))
    return ("time_embed.", "label_emb.", *blocks, "out.")


def _labels(levels: int) -> tuple[str, ...]:
    """What the editor calls them."""
    counts = {"input": levels, "middle": 3, "output": levels}
    return ("time", "label", *(f"{way} {number}" for way, count in counts.items() for number in range(count)), "out")


_SD1, _SDXL = _blocks(12, "."), _blocks(9, "")
_SD1_KEYS, _SDXL_KEYS = Keys(_SD1, 1.0, _labels(12)), Keys(_SDXL, 1.0, _labels(9))
_PART = Help(f"The first model's share of this part of the network: {_RATIO}")


@node(title="Merge models by each block", category="advanced/merging/by family", aliases=("ModelMergeSD2",))
def ModelMergeSD1(
    context: Context,
    model1: Annotated[ModelRef, _FIRST],
    model2: Annotated[ModelRef, _SECOND],
    **ratios: Annotated[float, _SD1_KEYS, Range(0.0, 1.0, 0.01), _PART],
) -> ModelRef:
    """Mixes two denoisers of Stable Diffusion 1 or 2 with a ratio for each of their blocks, by the names of the
    original network: 12 blocks on the way down, the middle, and 12 on the way up."""
    return _by_block(context, model1, model2, _SD1, ratios)


@node(title="Merge models by each block (SDXL)", category="advanced/merging/by family")
def ModelMergeSDXL(
    context: Context,
    model1: Annotated[ModelRef, _FIRST],
    model2: Annotated[ModelRef, _SECOND],
    **ratios: Annotated[float, _SDXL_KEYS, Range(0.0, 1.0, 0.01), _PART],
) -> ModelRef:
    """Mixes two denoisers of SDXL with a ratio for each of their blocks, by the names of the original network: 9 blocks
    on the way down, the middle, and 9 on the way up."""
    return _by_block(context, model1, model2, _SDXL, ratios)


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


def _by_block(
    context: Context, model1: ModelRef, model2: ModelRef, names: tuple[str, ...], ratios: dict[str, float]
) -> ModelRef:
    """A merge with a ratio for each part; what belongs to none follows the first of them."""
    whole = {**dict.fromkeys(names, 1.0), **ratios}
    parts = (("", whole[names[0]]), *whole.items())
    return _models(context, model1, model2, *(Share(prefix, ratio, 1 - ratio) for prefix, ratio in parts))


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
    with blaming(input):
        context.residency.check_merge(first, second)
