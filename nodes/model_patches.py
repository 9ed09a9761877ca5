"""Nodes that change how a model samples, without changing its weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from diffusion.model_options import (
    DifferentialOption,
    DownscaleOption,
    FreeUOption,
    HyperTileOption,
    LatentOperationOption,
    ModelSamplingOption,
    PerturbedAttentionOption,
    RescaleCfgOption,
    SelfAttentionOption,
    TokenMergingOption,
    with_option,
)
from diffusion.values import LatentOperation, ModelRef
from nodes.sdk import Choices, Context, Help, Label, Range, node

_CATEGORY = "model"
_FACTOR = Range(0.0, 10.0, 0.01)
_METHODS = ("bicubic", "nearest-exact", "bilinear", "area", "bislerp")

B1 = Annotated[float, _FACTOR, Help("Strength of the backbone in the first stage up. 1 changes nothing.")]
B2 = Annotated[float, _FACTOR, Help("Strength of the backbone in the second stage up. 1 changes nothing.")]
S1 = Annotated[float, _FACTOR, Help("Low frequencies of the skips in the first stage up. 1 changes nothing.")]
S2 = Annotated[float, _FACTOR, Help("Low frequencies of the skips in the second stage up. 1 changes nothing.")]


@node(title="Rescale CFG", category=_CATEGORY)
def RescaleCFG(
    model: ModelRef,
    multiplier: Annotated[
        float, Range(0.0, 1.0, 0.01, slider=True), Help("0 changes nothing, 1 rescales in full.")
    ] = 0.7,
) -> ModelRef:
    """Keeps guidance from making pictures glaring: its result is brought back to the contrast of the positive
    prediction (Lin et al. 2023). Made for models that predict velocity."""
    return with_option(model, RescaleCfgOption(multiplier))


@node(title="Model sampling", category=_CATEGORY)
def ModelSamplingDiscrete(
    model: ModelRef,
    sampling: Annotated[
        Literal["eps", "v_prediction", "lcm", "x0", "img_to_img"],
        Help("What the model predicts: noise, velocity, the noise of a consistency model, or the picture itself."),
    ] = "eps",
    zsnr: Annotated[
        bool, Label("zero terminal SNR"), Help("For models trained to start from pure noise (Lin et al. 2023).")
    ] = False,
) -> ModelRef:
    """Says what a model predicts and from which noise it starts, where its file does not say so, or after a LoRA (LCM)
    has changed it."""
    return with_option(model, ModelSamplingOption(sampling, zsnr))


@node(title="Compute in", category=_CATEGORY)
def ModelComputeDtype(
    context: Context,
    model: ModelRef,
    dtype: Annotated[
        Literal["default", "fp32", "fp64", "fp16", "bf16"],
        Label("type"),
        Help("default is what the program was started with. fp32 takes twice the memory of fp16 and is slower."),
    ] = "default",
) -> ModelRef:
    """Lets a model compute with more or fewer digits than others, to see whether black or noisy pictures come from
    numbers that are too short. The weights are read once more, in that type."""
    from diffusion.device import computed_in

    computed_in(dtype, context.residency.placement)
    return replace(model, compute_dtype=dtype)


@node(title="Differential diffusion", category=_CATEGORY, version=2)
def DifferentialDiffusion(
    model: ModelRef,
    strength: Annotated[
        float,
        Range(0.0, 1.0, 0.01, slider=True),
        Help("Near 0, a grey mask is treated as in plain sampling; 0 itself counts as 1."),
    ] = 1.0,
) -> ModelRef:
    """Makes a grey noise mask say how much each place may change: dark grey only in the last steps, white in all of
    them (Levin and Fried 2023)."""
    return with_option(model, DifferentialOption(strength))


@node(title="FreeU", category=_CATEGORY)
def FreeU(model: ModelRef, b1: B1 = 1.1, b2: B2 = 1.2, s1: S1 = 0.9, s2: S2 = 0.2) -> ModelRef:
    """Shifts the balance of the U-Net towards its backbone, for clearer pictures at no cost (Si et al. 2023)."""
    return with_option(model, FreeUOption(b1, b2, s1, s2))


@node(title="FreeU version 2", category=_CATEGORY)
def FreeU_V2(model: ModelRef, b1: B1 = 1.3, b2: B2 = 1.4, s1: S1 = 0.9, s2: S2 = 0.2) -> ModelRef:
    """FreeU whose strength follows the picture: most where the backbone is most active (Si et al. 2023)."""
    return with_option(model, FreeUOption(b1, b2, s1, s2, version=2))


@node(title="Perturbed-attention guidance", category=_CATEGORY, version=2)
def PerturbedAttentionGuidance(
    model: ModelRef,
    scale: Annotated[float, Range(0.0, 100.0, 0.01), Help("How strongly; 0 changes nothing.")] = 3.0,
) -> ModelRef:
    """Guides away from what the model draws when its middle layers look at nothing but each place itself, for better
    structure (Ahn et al. 2024). Costs one more pass in each step."""
    return with_option(model, PerturbedAttentionOption(scale))


@node(title="Self-attention guidance", category=_CATEGORY, version=2)
def SelfAttentionGuidance(
    model: ModelRef,
    scale: Annotated[float, Range(-2.0, 5.0, 0.01), Help("How strongly; 0 changes nothing.")] = 0.5,
    blur_sigma: Annotated[float, Range(0.0, 10.0, 0.1), Label("blur"), Help("Width of the blur, in cells.")] = 2.0,
) -> ModelRef:
    """Guides away from what the model draws when the places it attends to are blurred, for finer detail (Hong et al.
    2023). Costs one more pass in each step."""
    return with_option(model, SelfAttentionOption(scale, blur_sigma))


@node(title="HyperTile", category=_CATEGORY, version=2)
def HyperTile(
    model: ModelRef,
    tile_size: Annotated[int, Range(1, 2048), Help("The least side of a tile, in pixels.")] = 256,
    swap_size: Annotated[
        int, Range(1, 128), Help("Above 2, the number of tiles changes at random among that many, less one.")
    ] = 2,
    max_depth: Annotated[int, Range(0, 10), Help("How many levels of the model are tiled beyond the first.")] = 0,
    scale_depth: Annotated[bool, Help("Double the tiles with each level.")] = False,
) -> ModelRef:
    """Makes large pictures faster: layers let each place look only at others in its tile."""
    return with_option(model, HyperTileOption(tile_size, swap_size, max_depth, scale_depth))


@node(title="Merge tokens", category=_CATEGORY, version=2)
def TomePatchModel(
    model: ModelRef,
    ratio: Annotated[
        float, Range(0.0, 1.0, 0.01, slider=True), Help("The part merged: more is faster and coarser; 0 is none.")
    ] = 0.3,
) -> ModelRef:
    """Makes large pictures faster: similar places are computed as one (Bolya and Hoffman 2023)."""
    return with_option(model, TokenMergingOption(ratio))


@node(title="Deep shrink", category=_CATEGORY, version=2)
def PatchModelAddDownscale(
    model: ModelRef,
    block_number: Annotated[int, Range(1, 32), Label("block"), Help("The input block to shrink at.")] = 3,
    downscale_factor: Annotated[float, Range(0.1, 9.0, 0.001), Label("factor"), Help("2 halves both sides.")] = 2.0,
    start_percent: Annotated[float, Range(0.0, 1.0, 0.001), Label("from"), Help("0 is the first step.")] = 0.0,
    end_percent: Annotated[float, Range(0.0, 1.0, 0.001), Label("to"), Help("1 is the last step.")] = 0.35,
    downscale_after_skip: Annotated[
        bool, Label("after skip"), Help("Shrink behind the block's skip connection, which keeps its full size.")
    ] = True,
    downscale_method: Annotated[str, Choices(_METHODS), Help("How the smaller size is found.")] = "bicubic",
    upscale_method: Annotated[str, Choices(_METHODS), Help("How the larger size is found.")] = "bicubic",
) -> ModelRef:
    """Composes pictures larger than the model was trained on without doubling what is in them: the first part of the
    sampling works on a smaller picture inside."""
    return with_option(
        model,
        DownscaleOption(
            block_number, downscale_factor, start_percent, end_percent, downscale_after_skip, downscale_method,
            upscale_method,
        ),
    )  # fmt: skip


@node(title="Apply latent operation in guidance", category=_CATEGORY, version=2)
def LatentApplyOperationCFG(
    model: ModelRef,
    operation: Annotated[LatentOperation, Help("What to do, from a latent operation node.")],
) -> ModelRef:
    """Changes what the positive prompt adds to the negative one before guidance multiplies it, in every step. *Guide by
    two prompts* does without, and *Guide by Perp-Neg* changes all of the positive."""
    return with_option(model, LatentOperationOption(operation))
