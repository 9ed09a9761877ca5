"""Nodes that say how prompts guide a model, for *Sample (custom, advanced)*."""

from __future__ import annotations

from typing import Annotated, Literal

from diffusion.values import CfgRule, Conditioning, DualCfgRule, GuiderRef, ModelRef, PerpNegRule
from nodes.sampling import check_numbers
from nodes.sdk import Help, Label, Range, node

_CATEGORY = "sampling/custom/guiders"
_CFG = Help("How closely the prompt is followed. 1 ignores the negative prompt.")


@node(title="Guide by one prompt", category=_CATEGORY)
def BasicGuider(
    model: ModelRef, conditioning: Annotated[Conditioning, Help("What the picture should show.")]
) -> GuiderRef:
    """Follows one prompt as it is, without a negative: for models that were distilled to need none."""
    return GuiderRef(model, CfgRule(conditioning))


@node(title="Guide by CFG", category=_CATEGORY)
def CFGGuider(
    model: ModelRef,
    positive: Annotated[Conditioning, Help("What the picture should show.")],
    negative: Annotated[Conditioning, Help("What the picture should not show.")],
    cfg: Annotated[float, Range(0.0, 100.0, 0.1), Label("CFG"), _CFG] = 8.0,
) -> GuiderRef:
    """Classifier-free guidance, as *Sample* does it: towards the positive prompt and away from the negative one."""
    check_numbers(cfg=cfg)
    return GuiderRef(model, CfgRule(positive, negative, cfg))


@node(title="Guide by two prompts", category=_CATEGORY)
def DualCFGGuider(
    model: ModelRef,
    cond1: Annotated[Conditioning, Help("The prompt to go to from the second.")],
    cond2: Annotated[Conditioning, Help("The prompt to go to from the negative.")],
    negative: Annotated[Conditioning, Help("What the picture should not show.")],
    cfg_conds: Annotated[
        float, Range(0.0, 100.0, 0.1), Label("CFG of 1 from 2"), Help("How far to go from the second to the first.")
    ] = 8.0,
    cfg_cond2_negative: Annotated[
        float,
        Range(0.0, 100.0, 0.1),
        Label("CFG of 2 from negative"),
        Help("How far to go from the negative to the second; nested, to where the first guidance leads."),
    ] = 8.0,
    style: Annotated[
        Literal["regular", "nested"],
        Help("regular adds the two steps; nested aims the second step at the result of the first."),
    ] = "regular",
) -> GuiderRef:
    """Guides by two prompts with a scale each, for example a picture to keep and an instruction to follow."""
    check_numbers(cfg_conds=cfg_conds, cfg_cond2_negative=cfg_cond2_negative)
    rule = DualCfgRule(cond1, cond2, negative, cfg_conds, cfg_cond2_negative, nested=style == "nested")
    return GuiderRef(model, rule)


@node(title="Guide by Perp-Neg", category=_CATEGORY)
def PerpNegGuider(
    model: ModelRef,
    positive: Annotated[Conditioning, Help("What the picture should show.")],
    negative: Annotated[Conditioning, Help("What the picture should not show.")],
    empty_conditioning: Annotated[Conditioning, Label("empty"), Help("The encoding of an empty text.")],
    cfg: Annotated[float, Range(0.0, 100.0, 0.1), Label("CFG"), _CFG] = 8.0,
    neg_scale: Annotated[
        float, Range(0.0, 100.0, 0.01), Label("negative scale"), Help("How much the negative prompt counts.")
    ] = 1.0,
) -> GuiderRef:
    """Takes away only that part of the negative prompt which does not contradict the positive one, so that a negative
    may share words with the positive."""
    check_numbers(cfg=cfg, neg_scale=neg_scale)
    return GuiderRef(model, PerpNegRule(positive, negative, empty_conditioning, cfg, neg_scale))
