"""Nodes that multiply the weights of a model's attention, for trying out what each of its projections does."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, TypeVar

from diffusion.values import ClipRef, ModelRef, MultiplyPatch
from nodes.sdk import Help, Label, NodeError, Range, node

R = TypeVar("R", ModelRef, ClipRef)

_FACTOR = Range(0.0, 10.0, 0.01)

Q = Annotated[float, _FACTOR, Label("queries"), Help("By what the projection to queries is multiplied.")]
K = Annotated[float, _FACTOR, Label("keys"), Help("By what the projection to keys is multiplied.")]
V = Annotated[float, _FACTOR, Label("values"), Help("By what the projection to values is multiplied.")]
OUT = Annotated[float, _FACTOR, Label("output"), Help("By what the projection behind attention is multiplied.")]


@node(title="Multiply self-attention", category="model")
def UNetSelfAttentionMultiply(model: ModelRef, q: Q = 1.0, k: K = 1.0, v: V = 1.0, out: OUT = 1.0) -> ModelRef:
    """Multiplies the weights by which the places of a picture look at each other. Larger queries or keys make each look
    at fewer others; 1 changes nothing."""
    return _with(model, _unet("attn1", q, k, v, out))


@node(title="Multiply cross-attention", category="model")
def UNetCrossAttentionMultiply(model: ModelRef, q: Q = 1.0, k: K = 1.0, v: V = 1.0, out: OUT = 1.0) -> ModelRef:
    """Multiplies the weights by which the places of a picture look at the prompt. Larger values or outputs make the
    prompt count for more; 1 changes nothing."""
    return _with(model, _unet("attn2", q, k, v, out))


@node(title="Multiply CLIP attention", category="model")
def CLIPAttentionMultiply(clip: ClipRef, q: Q = 1.0, k: K = 1.0, v: V = 1.0, out: OUT = 1.0) -> ClipRef:
    """Multiplies the weights by which the words of a prompt look at each other; 1 changes nothing."""
    return _with(clip, {f"self_attn.{name}_proj": each for name, each in _checked(q, k, v, out).items()})


def _unet(attention: str, q: float, k: float, v: float, out: float) -> dict[str, float]:
    layers = {"q": "to_q", "k": "to_k", "v": "to_v", "out": "to_out.0"}
    return {f"{attention}.{layers[name]}": each for name, each in _checked(q, k, v, out).items()}


def _checked(q: float, k: float, v: float, out: float) -> dict[str, float]:
    factors = {"q": q, "k": k, "v": v, "out": out}
    for name, value in factors.items():
        if not math.isfinite(value):
            raise NodeError(f"{name} is {value}.", input=name, code="not_finite", hint="Give an ordinary number.")
    return factors


def _with(ref: R, factors: Mapping[str, float]) -> R:
    changing = tuple((layer, factor) for layer, factor in factors.items() if factor != 1.0)
    return replace(ref, patches=(*ref.patches, MultiplyPatch(changing))) if changing else ref
