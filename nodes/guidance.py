"""Nodes that change how a model's positive and negative predictions are mixed, in every step of a sampling."""

from __future__ import annotations

from typing import Annotated

from diffusion.model_options import (
    AdaptiveProjectionOption,
    EpsilonScalingOption,
    FrequencyScalingOption,
    MahiroOption,
    NormedCfgOption,
    PerpNegOption,
    RenormedCfgOption,
    TangentialDampingOption,
    ZeroStarOption,
    with_option,
)
from diffusion.values import Conditioning, ModelRef
from nodes.sampling import check_numbers
from nodes.sdk import Help, Label, NodeError, Range, node

_CATEGORY = "advanced/guidance"


@node(title="Adaptive projected guidance", category=_CATEGORY)
def APG(
    model: ModelRef,
    eta: Annotated[
        float,
        Range(-10.0, 10.0, 0.01),
        Help("How much guidance along the positive prediction counts, which makes colours glaring. 1 is all of it."),
    ] = 1.0,
    norm_threshold: Annotated[
        float, Range(0.0, 50.0, 0.1), Label("longest"), Help("The greatest length of guidance; 0 sets no limit.")
    ] = 5.0,
    momentum: Annotated[
        float,
        Range(-5.0, 1.0, 0.01),
        Help("How much of the guidance of earlier steps is added; below 0 it is taken away. 0 is none."),
    ] = 0.0,
) -> ModelRef:
    """Keeps colours natural at a high CFG: guidance gets a greatest length, and its part along the positive prediction
    counts by itself (Sadat et al. 2024). It also acts at a CFG of 1. *Guide by two prompts* does without."""
    check_numbers(eta=eta, norm_threshold=norm_threshold, momentum=momentum)
    return with_option(model, AdaptiveProjectionOption(eta, norm_threshold, momentum))


@node(title="Tangential damping of CFG", category=_CATEGORY)
def TCFG(model: ModelRef) -> ModelRef:
    """Takes away from the negative prediction what is foreign to the positive one, for finer pictures (Kwon et al.
    2025). *Guide by two prompts* does without."""
    return with_option(model, TangentialDampingOption())


@node(title="FreSca", category=_CATEGORY)
def FreSca(
    model: ModelRef,
    scale_low: Annotated[
        float, Range(0.0, 10.0, 0.01), Label("low frequencies"), Help("Strength of guidance for large shapes.")
    ] = 1.0,
    scale_high: Annotated[
        float, Range(0.0, 10.0, 0.01), Label("high frequencies"), Help("Strength of guidance for fine detail.")
    ] = 1.25,
    freq_cutoff: Annotated[
        int,
        Range(1, 100),
        Label("low up to"),
        Help("Up to which frequency, in waves across the picture, it counts as low. Meant for sides of at least 16 "
             "times as many pixels."),
    ] = 20,
) -> ModelRef:  # fmt: skip
    """Scales the large shapes and the fine detail of guidance apart (Huang et al. 2025). *Guide by two prompts* does
    without."""
    check_numbers(scale_low=scale_low, scale_high=scale_high)
    return with_option(model, FrequencyScalingOption(scale_low, scale_high, freq_cutoff))


@node(title="Norm of CFG", category=_CATEGORY)
def CFGNorm(
    model: ModelRef,
    strength: Annotated[float, Range(0.0, 100.0, 0.01), Help("What the result is multiplied by; leave it at 1.")] = 1.0,
) -> ModelRef:
    """Keeps a high CFG from making any place of a picture stronger than the positive prompt alone makes it."""
    check_numbers(strength=strength)
    return with_option(model, NormedCfgOption(strength))


@node(title="Renormalised CFG", category=_CATEGORY)
def RenormCFG(
    model: ModelRef,
    cfg_trunc: Annotated[
        float,
        Range(0.0, 100.0, 0.01),
        Label("below sigma"),
        Help("From this noise level on, the negative prompt and the CFG do not count."),
    ] = 100.0,
    renorm_cfg: Annotated[
        float,
        Range(0.0, 100.0, 0.01),
        Label("longest"),
        Help("How strong the picture may get, measured by the positive prompt alone; 0 sets no limit."),
    ] = 1.0,
) -> ModelRef:
    """Keeps a high CFG from making pictures stronger than the positive prompt alone makes them (Qin et al. 2025). Of
    this node, *Rescale CFG* and *Perp-Neg*, only the last one counts."""
    check_numbers(cfg_trunc=cfg_trunc, renorm_cfg=renorm_cfg)
    return with_option(model, RenormedCfgOption(cfg_trunc, renorm_cfg))


@node(title="CFG-Zero*", category=_CATEGORY)
def CFGZeroStar(model: ModelRef) -> ModelRef:
    """Guides away from as much of the negative prediction as fits the positive one best (Fan et al. 2025). Made for
    models of flow matching; the first steps are not left out."""
    return with_option(model, ZeroStarOption())


@node(title="Mahiro guidance", category=_CATEGORY)
def Mahiro(model: ModelRef) -> ModelRef:
    """Follows the positive prompt itself rather than its difference from the negative one, the more so the less the two
    resemble each other."""
    return with_option(model, MahiroOption())


@node(title="Epsilon scaling", category=_CATEGORY, aliases=("Epsilon Scaling",))
def EpsilonScaling(
    model: ModelRef,
    scaling_factor: Annotated[
        float,
        Range(0.5, 1.5, 0.001),
        Label("factor"),
        Help("What the predicted noise is divided by: a little above 1 for finer pictures; 1 changes nothing."),
    ] = 1.005,
) -> ModelRef:
    """Makes the predicted noise a little smaller in each step, against the errors that add up over a sampling (Ning et
    al. 2023)."""
    check_numbers(scaling_factor=scaling_factor)
    if scaling_factor == 0.0:
        raise NodeError(
            "The factor is 0, and noise cannot be divided by it.", input="scaling_factor", hint="Use 1.005."
        )
    return with_option(model, EpsilonScalingOption(scaling_factor))


@node(title="Perp-Neg", category=_CATEGORY)
def PerpNeg(
    model: ModelRef,
    empty_conditioning: Annotated[Conditioning, Label("empty"), Help("The encoding of an empty text.")],
    neg_scale: Annotated[
        float, Range(0.0, 100.0, 0.01), Label("negative scale"), Help("How much the negative prompt counts.")
    ] = 1.0,
) -> ModelRef:
    """Takes away only that part of the negative prompt which does not contradict the positive one (Armandpour et al.
    2023). Costs one more pass in each step; *Guide by Perp-Neg* does the same in one. Needs a CFG other than 1. Of this
    node, *Rescale CFG* and *Renormalised CFG*, only the last one counts."""
    check_numbers(neg_scale=neg_scale)
    if not empty_conditioning.entries:
        raise NodeError("The conditioning is empty.", input="empty_conditioning", code="bad_conditioning")
    return with_option(model, PerpNegOption(empty_conditioning, neg_scale))
