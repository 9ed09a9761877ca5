"""Classifier-free guidance (Ho and Salimans 2022): from the network's raw predictions to one clean latent.

Each side, positive and negative, may hold several prompts, each with its own region and time range (`regions`). All of
them that see the same piece of the latent and whose lengths allow go through the network as one batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from diffusion.errors import DiffusionError
from diffusion.sampling.mask import repeat_to
from diffusion.sampling.protocols import Check, DenoiserModel, Start
from diffusion.sampling.regions import Region, region_of, with_matching_areas
from diffusion.values import CondEntry, Conditioning

MAX_REPEAT = 4
"""How many times over a prompt may be repeated along its tokens to share a batch with a longer one."""


@dataclass(frozen=True, slots=True, eq=False)
class _Prompt:
    """A prompt ready for the model: on its device, in its type, with one row per latent of the batch."""

    side: int
    context: Tensor
    pooled: Tensor | None
    channels: Tensor | None
    region: Region


@dataclass(frozen=True, slots=True, eq=False)
class _Pass:
    """One forward pass: prompts that see the same piece of the latent, stacked."""

    prompts: tuple[_Prompt, ...]
    context: Tensor
    pooled: Tensor | None
    channels: Tensor | None


class Guidance:
    """The `GuidedDenoise` of a model, two sides of prompts and a scale."""

    def __init__(
        self,
        model: DenoiserModel,
        positive: Conditioning,
        negative: Conditioning,
        cfg: float,
        *,
        shape: torch.Size,
        start: Start | None = None,
        check: Check | None = None,
    ) -> None:
        """`shape` is that of the latent, `[B,C,h,w]`, and `start` the latent itself, for models that see it beside the
        noise (zeros when None); `check` is called before each forward pass and may raise.
        Raises `DiffusionError` when `cfg` is not finite, a side is empty, or a prompt doesn't fit."""
        if not math.isfinite(cfg):
            raise DiffusionError(f"The guidance scale must be a finite number, not {cfg}.", input="cfg", code="bad_cfg")
        self._model = model
        self._cfg = cfg
        self._check = check
        for name, conditioning in (("positive", positive), ("negative", negative)):
            if not conditioning.entries:
                raise DiffusionError(f"The {name} conditioning is empty.", input=name, code="bad_conditioning")
        negatives = with_matching_areas(negative.entries, positive.entries, shape)
        positives = with_matching_areas(positive.entries, negatives, shape)
        begin = start if start is not None else Start(torch.zeros(shape, device=model.device))
        self._prompts = [_prepare(model, entry, 0, "positive", begin) for entry in positives]
        self._prompts += [_prepare(model, entry, 1, "negative", begin) for entry in negatives]
        self._passes: dict[tuple[int, ...], list[_Pass]] = {}

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        if math.isclose(self._cfg, 1.0):
            return self._sides(x, sigma, (0,))[0]
        positive, negative = self._sides(x, sigma, (0, 1))
        return torch.lerp(negative, positive, self._cfg)

    def with_unconditional(self, x: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
        positive, negative = self._sides(x, sigma, (0, 1))
        return torch.lerp(negative, positive, self._cfg), negative

    def _sides(self, x: Tensor, sigma: float, sides: Sequence[int]) -> list[Tensor]:
        """The clean latent of each of `sides`: the mean of its active prompts, weighted by their regions. Where no
        prompt has a say it is 0."""
        active = tuple(
            i for i, prompt in enumerate(self._prompts) if prompt.side in sides and prompt.region.active(sigma)
        )
        if active not in self._passes:
            self._passes[active] = _stack([self._prompts[i] for i in active])
        model = self._model
        timestep = float(model.sampling.timestep(sigma))
        results: dict[int, list[tuple[_Prompt, Tensor]]] = {side: [] for side in sides}
        for batch in self._passes[active]:
            if self._check is not None:
                self._check()
            piece = batch.prompts[0].region.crop(x)
            count = len(batch.prompts)
            scaled = (piece * (1 / math.sqrt(sigma**2 + 1))).repeat(count, 1, 1, 1)
            if batch.channels is not None:
                scaled = torch.cat([scaled, batch.channels], dim=1)
            times = torch.full((scaled.shape[0],), timestep, device=x.device)
            output = model.predict(scaled, times, batch.context, batch.pooled).float()
            for prompt, part in zip(batch.prompts, output.chunk(count), strict=True):
                results[prompt.side].append((prompt, _denoised(model, piece, part, sigma)))
        return [_mean(x, results[side]) for side in sides]


def _denoised(model: DenoiserModel, x: Tensor, output: Tensor, sigma: float) -> Tensor:
    """The clean latent that the network's output stands for."""
    if model.prediction == "eps":
        return torch.add(x, output, alpha=-sigma)
    if model.prediction == "v":
        return torch.add(x * (1 / (sigma**2 + 1)), output, alpha=-sigma / math.sqrt(sigma**2 + 1))
    return output


def _mean(x: Tensor, parts: Sequence[tuple[_Prompt, Tensor]]) -> Tensor:
    if len(parts) == 1 and parts[0][0].region.everywhere:
        return parts[0][1]
    total = torch.zeros_like(x)
    weights = torch.full_like(x, 1e-37)
    for prompt, part in parts:
        weight = prompt.region.weight
        prompt.region.crop(total).add_(part * weight)
        prompt.region.crop(weights).add_(weight)
    return total / weights


def _prepare(model: DenoiserModel, entry: CondEntry, side: int, name: str, start: Start) -> _Prompt:
    shape = start.latent.shape
    if entry.embedding.dim() != 3:
        raise DiffusionError(
            f"A prompt embedding must be [batch, tokens, width], not {list(entry.embedding.shape)}.",
            input=name,
            code="bad_conditioning",
        )
    context = repeat_to(entry.embedding, shape[0]).to(model.device, model.dtype)
    inputs = model.inputs(entry, start, negative=side == 1)
    vector = None if inputs.vector is None else repeat_to(inputs.vector, shape[0]).to(model.device, model.dtype)
    region = region_of(entry.options, shape, model.sampling, model.device, name)
    channels = None if inputs.channels is None else region.crop(inputs.channels.to(model.device))
    return _Prompt(side, context, vector, channels, region)


def _stack(prompts: Sequence[_Prompt]) -> list[_Pass]:
    """Sort prompts into as few passes as their pieces, pooled vectors and lengths allow, in order."""
    groups: list[list[_Prompt]] = []
    for prompt in prompts:
        for group in groups:
            if _fits(prompt, group):
                group.append(prompt)
                break
        else:
            groups.append([prompt])
    passes: list[_Pass] = []
    for group in groups:
        length = math.lcm(*(prompt.context.shape[1] for prompt in group))
        contexts = [prompt.context.repeat(1, length // prompt.context.shape[1], 1) for prompt in group]
        pooled = [prompt.pooled for prompt in group if prompt.pooled is not None]
        channels = [prompt.channels for prompt in group if prompt.channels is not None]
        passes.append(
            _Pass(
                tuple(group),
                torch.cat(contexts),
                torch.cat(pooled) if pooled else None,
                torch.cat(channels) if channels else None,
            )
        )
    return passes


def _fits(prompt: _Prompt, group: Sequence[_Prompt]) -> bool:
    first = group[0]
    lengths = [other.context.shape[1] for other in (*group, prompt)]
    return (
        prompt.region.box == first.region.box
        and prompt.context.shape[2] == first.context.shape[2]
        and (prompt.pooled is None) == (first.pooled is None)
        and (prompt.pooled is None or first.pooled is None or prompt.pooled.shape == first.pooled.shape)
        and math.lcm(*lengths) // min(lengths) <= MAX_REPEAT
    )
