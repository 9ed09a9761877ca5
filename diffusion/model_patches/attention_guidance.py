"""Guidance by what a model predicts when its attention is spoiled: perturbed-attention and self-attention guidance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import torch
from torch import Tensor, nn

from diffusion.errors import DiffusionError
from diffusion.model_patches.hooks import first_input, hooked
from diffusion.model_patches.layout import middle_attentions
from diffusion.sampling.run_patches import PassInfo, RunPatch, Seen

SMALLEST = 5
"""Below this side of a latent, in cells, there is no room for the blur of self-attention guidance."""
BLUR_RADIUS = 4


class PerturbedAttention(RunPatch):
    """PAG (Ahn et al. 2024): a further step away from the prediction in which each token of the middle block attends
    only to itself. Where self-attention guidance watches the first attention, that one is left as it is: so does
    ComfyUI, and pictures made with both depend on it."""

    def __init__(self, unet: nn.Module, scale: float, *, spares_first: bool = False) -> None:
        self._scale = scale
        attentions = middle_attentions(unet)[1 if spares_first else 0 :]
        self._perturb = _Perturb(attentions) if attentions else None

    def after(self, guided: Tensor, seen: Seen) -> Tensor:
        if self._scale == 0.0 or self._perturb is None:
            return guided
        perturbed = seen.ask(seen.x, "positive", (self._perturb,))
        return torch.add(guided, seen.positive - perturbed, alpha=self._scale)


class _Perturb(RunPatch):
    def __init__(self, attentions: Sequence[nn.Module]) -> None:
        self._hooks = [(each, _values_only) for each in attentions]

    def during(self, call: PassInfo) -> AbstractContextManager[object]:
        del call
        return hooked(after=self._hooks)


def _values_only(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Tensor) -> Tensor:
    """The result of an attention whose weights are the identity: the values themselves."""
    del output
    values = module.get_submodule("to_v")(first_input(args, kwargs))
    return module.get_submodule("to_out.1")(module.get_submodule("to_out.0")(values))


class SelfAttention(RunPatch):
    """SAG (Hong et al. 2023): a further step away from the prediction for a latent whose most attended places are
    blurred. What is attended is told by the middle block's first self-attention on the negative prompt: on the last one
    of a pass, and with two guiding prompts on the second of them, as in ComfyUI."""

    needs_negative = True

    def __init__(self, unet: nn.Module, scale: float, blur_sigma: float) -> None:
        self._scale = scale
        self._blur_sigma = blur_sigma
        self._attention = middle_attentions(unet)[:1]
        if not self._attention:
            raise DiffusionError(
                "Self-attention guidance watches the attention in the model's middle block, and this model has none.",
                input="model",
                code="bad_option",
                hint="Use another model, or PerturbedAttentionGuidance, which lets such a model be.",
            )
        self._attended: Tensor | None = None
        self._asking = False

    def during(self, call: PassInfo) -> AbstractContextManager[object]:
        if self._asking or call.second not in call.sides:
            return nullcontext()
        last = max(place for place, side in enumerate(call.sides) if side == call.second)
        start = last * call.batch
        rows = slice(start, start + call.batch)

        def record(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Tensor) -> None:
            del output
            self._attended = attention_received(module, first_input(args, kwargs)[rows])

        return hooked(after=[(each, record) for each in self._attention])

    def after(self, guided: Tensor, seen: Seen) -> Tensor:
        if seen.negative is None or self._attended is None or min(guided.shape[-2:]) < SMALLEST:
            return guided
        degraded = self._degraded(seen.negative, self._attended)
        self._asking = True
        try:
            lost = seen.ask(degraded + (seen.x - seen.negative), "negative", ())
        finally:
            self._asking = False
        return torch.add(guided, degraded - lost, alpha=self._scale)

    def _degraded(self, clean: Tensor, attended: Tensor) -> Tensor:
        rows, columns = token_grid(attended.shape[-1], clean.shape[-2], clean.shape[-1])
        mask = (attended > 1.0).to(clean.dtype).reshape(-1, 1, rows, columns)
        mask = torch.nn.functional.interpolate(mask, clean.shape[-2:])
        return torch.lerp(clean, blurred(clean, self._blur_sigma), mask)


def attention_received(module: nn.Module, tokens: Tensor) -> Tensor:
    """How much attention each token gets from all tokens, `[B,N]`, as the mean over heads: 1 for each on average."""
    heads = cast("int", module.heads)

    def split(projected: Tensor) -> Tensor:
        return projected.unflatten(-1, (heads, -1)).transpose(1, 2).float()

    queries, keys = split(module.get_submodule("to_q")(tokens)), split(module.get_submodule("to_k")(tokens))
    weights = (queries @ keys.transpose(-1, -2) / math.sqrt(queries.shape[-1])).softmax(dim=-1)
    return weights.mean(dim=1).sum(dim=1)


def token_grid(count: int, height: int, width: int) -> tuple[int, int]:
    """Rows and columns of `count` tokens for a latent of height × width: whole, and near to its proportions.

    The rows are sought from the rounded ideal on, by steps of one up and down, up before down, as ComfyUI does. Where
    it finds none and fails, they are the divisor that is nearest.
    """
    ideal = math.sqrt(height / width * count)
    near = round(ideal)
    for step in range(math.floor(math.sqrt(count) / 2)):
        for rows in (near + step, max(1, near - step)):
            if rows > 0 and count % rows == 0:
                return rows, count // rows
    rows = min((each for each in range(1, count + 1) if count % each == 0), key=lambda each: abs(each - ideal))
    return rows, count // rows


def blurred(x: Tensor, sigma: float) -> Tensor:
    """`x` `[B,C,h,w]` under a Gaussian of 9×9 cells, mirrored at the edges."""
    if sigma <= 0.0:
        return x
    place = torch.arange(-BLUR_RADIUS, BLUR_RADIUS + 1, device=x.device, dtype=x.dtype)
    weights = torch.exp(-0.5 * (place / sigma) ** 2)
    weights = weights / weights.sum()
    channels = x.shape[1]
    kernel = (weights[:, None] * weights[None, :]).expand(channels, 1, -1, -1)
    padded = torch.nn.functional.pad(x, (BLUR_RADIUS,) * 4, mode="reflect")
    return torch.nn.functional.conv2d(padded, kernel, groups=channels)
