"""Nodes that change a model by a small file: LoRAs and their kin."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Annotated, NamedTuple, TypeVar

from diffusion.errors import blaming
from diffusion.values import ClipRef, LoraPatch, ModelRef
from nodes.sdk import Context, Help, Label, ModelFile, NodeError, Range, node

R = TypeVar("R", ModelRef, ClipRef)

_FILE = Help("A file from models/loras: a LoRA, LoHa, LoKr, DoRA, OFT, BOFT or GLoRA of the model's family.")
_STRENGTH = "1 is as trained, 0 leaves it out, a negative number does the opposite."


class WithLora(NamedTuple):
    MODEL: ModelRef
    CLIP: ClipRef


@node(title="Load LoRA", category="loaders", version=2)
def LoraLoader(
    context: Context,
    model: Annotated[ModelRef, Help("The denoiser to change.")],
    clip: Annotated[ClipRef, Help("The text encoder to change.")],
    lora_name: Annotated[str, ModelFile("loras"), Label("LoRA"), _FILE],
    strength_model: Annotated[
        float, Range(-100.0, 100.0, 0.01), Help(f"How much it changes the denoiser: {_STRENGTH}")
    ] = 1.0,
    strength_clip: Annotated[
        float, Range(-100.0, 100.0, 0.01), Help(f"How much it changes the text encoder: {_STRENGTH}")
    ] = 1.0,
) -> WithLora:
    """Adds a LoRA: a small file that teaches a model a style, a person or a thing.

    Several can follow one another. A LoRA only fits models of the family it was trained on; one that does not fit is an
    error that says for which family it was made. Single layers that do not fit are left out.
    """
    _check(strength_model=strength_model, strength_clip=strength_clip)
    if strength_model == 0 and strength_clip == 0:
        return WithLora(model, clip)
    with blaming("lora_name"):
        file = context.model_file("loras", lora_name)
        context.residency.check_lora(file, model if strength_model else None, clip if strength_clip else None)
    return WithLora(_with(model, LoraPatch(file, strength_model)), _with(clip, LoraPatch(file, strength_clip)))


@node(title="Load LoRA (model only)", category="loaders", version=2)
def LoraLoaderModelOnly(
    context: Context,
    model: Annotated[ModelRef, Help("The denoiser to change.")],
    lora_name: Annotated[str, ModelFile("loras"), Label("LoRA"), _FILE],
    strength_model: Annotated[
        float, Range(-100.0, 100.0, 0.01), Help(f"How much it changes the denoiser: {_STRENGTH}")
    ] = 1.0,
) -> ModelRef:
    """Adds a LoRA to the denoiser alone and leaves the reading of prompts as it is."""
    _check(strength_model=strength_model)
    if strength_model == 0:
        return model
    with blaming("lora_name"):
        file = context.model_file("loras", lora_name)
        context.residency.check_lora(file, model, None)
    return _with(model, LoraPatch(file, strength_model))


def _with(ref: R, patch: LoraPatch) -> R:
    return replace(ref, patches=(*ref.patches, patch)) if patch.strength else ref


def _check(**strengths: float) -> None:
    for name, value in strengths.items():
        if not math.isfinite(value):
            raise NodeError(f"{name} is {value}.", input=name, code="not_finite", hint="Give an ordinary number.")
