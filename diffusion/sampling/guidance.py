"""From the network's raw predictions to one clean latent, guided by prompts.

Each side, positive and negative, may hold several prompts, each with its own region and time range (`regions`). All of
them that see the same piece of the latent and whose lengths allow go through the network as one batch. `Guidance` is
classifier-free guidance between two sides; `guiders` has the other rules.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from diffusion.errors import DiffusionError
from diffusion.ops.batches import repeat_to
from diffusion.sampling.controls import summed, with_shared_controls
from diffusion.sampling.protocols import Check, Control, DenoiserModel, Start
from diffusion.sampling.regions import Region, region_of, with_matching_areas
from diffusion.sampling.run_patches import PassInfo, RunPatch, Seen, mixed, prepared
from diffusion.values import CondEntry, Conditioning

MAX_REPEAT = 4
"""How many times over a prompt may be repeated along its tokens to share a batch with a longer one."""


@dataclass(frozen=True, slots=True, eq=False)
class _Prompt:
    """A prompt ready for the model: on its device, in its type, with one row per latent of the batch."""

    side: str
    context: Tensor
    pooled: Tensor | None
    channels: Tensor | None
    controls: tuple[Control, ...]
    region: Region


@dataclass(frozen=True, slots=True, eq=False)
class _Pass:
    """One forward pass: prompts that see the same piece of the latent, stacked."""

    prompts: tuple[_Prompt, ...]
    context: Tensor
    pooled: Tensor | None
    channels: Tensor | None


class Sides:
    """The clean latent that each side of a run predicts."""

    def __init__(
        self,
        model: DenoiserModel,
        conditionings: Mapping[str, Conditioning],
        *,
        start: Start,
        check: Check | None = None,
        patches: Sequence[RunPatch] = (),
    ) -> None:
        """`conditionings` by the name of the side, which is also that of the node input; all but the first are told to
        the model as negative, and take the control networks that the first shares. `start` is what the run starts from,
        for models that see it beside the noise; `check` is called before each forward pass and may raise.
        Raises `DiffusionError` when a side is empty or a prompt doesn't fit."""
        self._model = model
        self._check = check
        self._patches = tuple(patches)
        self._shape = start.latent.shape
        self._second = "cond2" if "cond2" in conditionings else "negative"
        entries: dict[str, Sequence[CondEntry]] = {}
        for name, conditioning in conditionings.items():
            if not conditioning.entries:
                raise DiffusionError(f"The {name} conditioning is empty.", input=name, code="bad_conditioning")
            entries[name] = conditioning.entries
        for name in entries:
            for other in entries:
                if other != name:
                    entries[other] = with_matching_areas(entries[other], entries[name], self._shape)
        first, *others = entries
        for name in others:
            entries[name] = with_shared_controls(entries[first], entries[name])
        self._prompts = [
            _prepare(model, entry, name, start, negative=name != first)
            for name, side in entries.items()
            for entry in side
        ]
        # Prompts of patches stand apart: they share neither areas nor controls nor, as in ComfyUI, the noise mask.
        self._prompts += [
            _prepare(model, entry, name, replace(start, mask=None), negative=True)
            for patch in patches
            for name, conditioning in patch.prompts.items()
            for entry in conditioning.entries
        ]
        self._passes: dict[tuple[int, ...], list[_Pass]] = {}

    def __call__(self, x: Tensor, sigma: float, sides: Sequence[str], further: Sequence[RunPatch] = ()) -> list[Tensor]:
        """The clean latent of each of `sides`: the mean of its active prompts, weighted by their regions. Where no
        prompt has a say it is 0. `further` patches are in place beside those of the model."""
        active = tuple(
            i for i, prompt in enumerate(self._prompts) if prompt.side in sides and prompt.region.active(sigma)
        )
        if active not in self._passes:
            self._passes[active] = _stack([self._prompts[i] for i in active])
        if x.shape[-2:] != self._shape[-2:]:
            self._check_resized(active)
        results: dict[str, list[tuple[_Prompt, Tensor]]] = {side: [] for side in sides}
        for batch in self._passes[active]:
            if self._check is not None:
                self._check()
            piece = batch.prompts[0].region.crop(x)
            output = self._predict(batch, piece, sigma, (*self._patches, *further))
            for prompt, part in zip(batch.prompts, output.chunk(len(batch.prompts)), strict=True):
                results[prompt.side].append((prompt, _denoised(self._model, piece, part, sigma)))
        return [_mean(x, results[side]) for side in sides]

    def _predict(self, batch: _Pass, piece: Tensor, sigma: float, patches: Sequence[RunPatch]) -> Tensor:
        model = self._model
        scaled = piece if model.prediction == "img_to_img" else piece * (1 / math.sqrt(sigma**2 + 1))
        scaled = scaled.repeat(len(batch.prompts), 1, 1, 1)
        times = torch.full((scaled.shape[0],), float(model.sampling.timestep(sigma)), device=piece.device)
        residuals = summed(batch.prompts[0].controls, sigma, scaled, times, batch.context, batch.pooled)
        if batch.channels is not None:
            scaled = torch.cat([scaled, batch.channels], dim=1)
        size = (int(piece.shape[-2]), int(piece.shape[-1]))
        call = PassInfo(sigma, size, tuple(prompt.side for prompt in batch.prompts), piece.shape[0], self._second)
        with ExitStack() as stack:
            for patch in patches:
                stack.enter_context(patch.during(call))
            return model.predict(scaled, times, batch.context, batch.pooled, residuals).float()

    def _check_resized(self, active: Sequence[int]) -> None:
        fixed = [self._prompts[i] for i in active]
        if any(not prompt.region.everywhere or prompt.channels is not None for prompt in fixed):
            raise DiffusionError(
                "This sampler changes the size of the latent, which prompts with areas or masks, and models that see "
                "a picture, can't follow.",
                input="sampler",
                code="bad_sampler",
            )


class Guidance:
    """The `GuidedDenoise` of a model, two sides of prompts and a scale (Ho and Salimans 2022)."""

    def __init__(
        self,
        model: DenoiserModel,
        positive: Conditioning,
        negative: Conditioning | None,
        cfg: float,
        *,
        shape: torch.Size,
        start: Start | None = None,
        check: Check | None = None,
        patches: Sequence[RunPatch] = (),
    ) -> None:
        """`shape` is that of the latent, `[B,C,h,w]`, and `start` the latent itself (zeros when None). Without a
        negative the positive stands alone. For the rest, and the errors, see `Sides`; also raises when `cfg` is not
        finite."""
        check_scale("cfg", cfg)
        begin = start if start is not None else Start(torch.zeros(shape, device=model.device))
        self._cfg = cfg
        self._patches = tuple(patches)
        self._has_negative = negative is not None
        sides = {"positive": positive} if negative is None else {"positive": positive, "negative": negative}
        self._sides = Sides(model, sides, start=begin, check=check, patches=patches)

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        needed = any(patch.needs_negative for patch in self._patches)
        if needed or (self._has_negative and not math.isclose(self._cfg, 1.0)):
            return self.with_unconditional(x, sigma)[0]
        return mixed(self._seen(x, sigma, self._sides(x, sigma, ("positive",))[0], None), self._patches)

    def with_unconditional(self, x: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
        if not self._has_negative:
            return self._without_negative(x, sigma)
        seen = self._seen(x, sigma, *self._sides(x, sigma, ("positive", "negative")))
        return mixed(seen, self._patches), seen.unconditional

    def _without_negative(self, x: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
        """What a sampler gets that asks for the unconditional latent where there is no negative: zeros."""
        if any(patch.needs_negative for patch in self._patches):
            raise DiffusionError(
                "This model patch needs a negative prompt, and the guider has none.",
                input="guider",
                code="bad_guider",
                hint="Use CFGGuider.",
            )
        return self(x, sigma), torch.zeros_like(x)

    def _seen(self, x: Tensor, sigma: float, positive: Tensor, negative: Tensor | None) -> Seen:
        seen = Seen(
            x, sigma, positive, negative, self._cfg, lambda y, side, more: self._sides(y, sigma, (side,), more)[0]
        )
        return prepared(seen, self._patches)


def check_scale(name: str, value: float) -> None:
    """Raise `DiffusionError` unless a guidance scale is finite."""
    if not math.isfinite(value):
        raise DiffusionError(f"The guidance scale must be a finite number, not {value}.", input=name, code="bad_cfg")


def _denoised(model: DenoiserModel, x: Tensor, output: Tensor, sigma: float) -> Tensor:
    """The clean latent that the network's output stands for."""
    if model.prediction == "eps":
        return torch.add(x, output, alpha=-sigma)
    if model.prediction == "lcm":
        return _consistent(model, x, output, sigma)
    if model.prediction == "v":
        return torch.add(x * (1 / (sigma**2 + 1)), output, alpha=-sigma / math.sqrt(sigma**2 + 1))
    return output


def _consistent(model: DenoiserModel, x: Tensor, output: Tensor, sigma: float) -> Tensor:
    """The consistency function of latent consistency models (Luo et al. 2023, section 4.1): the clean latent near any
    level, the latent itself at time 0. sigma_data is 0.5, and time counts tenfold."""
    time, data = 10.0 * model.sampling.timestep(sigma), 0.5
    spread = time**2 + data**2
    return torch.add(x, output, alpha=-sigma) * (time / math.sqrt(spread)) + x * (data**2 / spread)


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


def _prepare(model: DenoiserModel, entry: CondEntry, side: str, start: Start, *, negative: bool) -> _Prompt:
    shape = start.latent.shape
    if entry.embedding.dim() != 3:
        raise DiffusionError(
            f"A prompt embedding must be [batch, tokens, width], not {list(entry.embedding.shape)}.",
            input=side,
            code="bad_conditioning",
        )
    context = repeat_to(entry.embedding, shape[0]).to(model.device, model.dtype)
    inputs = model.inputs(entry, start, negative=negative)
    vector = None if inputs.vector is None else repeat_to(inputs.vector, shape[0]).to(model.device)
    region = region_of(entry.options, shape, model.sampling, model.device, side)
    channels = None if inputs.channels is None else region.crop(inputs.channels.to(model.device))
    return _Prompt(side, context, vector, channels, inputs.controls, region)


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
        and prompt.controls == first.controls
        and prompt.context.shape[2] == first.context.shape[2]
        and (prompt.pooled is None) == (first.pooled is None)
        and (prompt.pooled is None or first.pooled is None or prompt.pooled.shape == first.pooled.shape)
        and math.lcm(*lengths) // min(lengths) <= MAX_REPEAT
    )
