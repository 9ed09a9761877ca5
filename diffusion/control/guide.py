"""A control network at work in one run: its picture fitted to the latent, its strength, its part of the sampling."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor
from torch.nn.functional import interpolate

from diffusion.architecture import UnetConfig, family_by_context
from diffusion.control.adapter import LoadedAdapter
from diffusion.control.network import LoadedControlNet, WrongControlNet
from diffusion.control.uses import PROMPT, uses_of
from diffusion.errors import BadPrompt, blaming
from diffusion.images import crop_to_proportions
from diffusion.ops.batches import repeat_to
from diffusion.sampling.discrete import DiscreteSchedule
from diffusion.sampling.protocols import Control, Residuals
from diffusion.values import CondEntry, ControlNetRef, ControlUse

PIXELS = 8
"""Pixels of the picture per latent cell, along one side."""

Load = Callable[[ControlNetRef], LoadedControlNet | LoadedAdapter]


class Guide:
    """A `Control`: one use of a control network or T2I-Adapter in one run. `batch` is how many latents a prompt is
    asked for; `prompt` [B, T, C] is what the network reads in place of that prompt."""

    def __init__(
        self,
        net: LoadedControlNet | LoadedAdapter,
        use: ControlUse,
        levels: DiscreteSchedule,
        batch: int,
        prompt: Tensor | None = None,
    ) -> None:
        self._net = net
        self._use = use
        self._prompt = prompt
        self._batch = batch
        self._first = levels.percent_to_sigma(use.start_percent)
        self._last = levels.percent_to_sigma(use.end_percent)
        self._fitted: dict[tuple[int, int], Tensor] = {}
        self._seen: dict[tuple[int, int], Residuals] = {}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Guide):
            return False
        return self._net is other._net and self._use is other._use and self._prompt is other._prompt

    def __hash__(self) -> int:
        return hash((id(self._net), id(self._use)))

    def active(self, sigma: float) -> bool:
        return self._use.strength != 0 and self._last <= sigma <= self._first

    def residuals(self, x: Tensor, timestep: Tensor, context: Tensor, pooled: Tensor | None) -> Residuals:
        size, times = (x.shape[-2], x.shape[-1]), x.shape[0] // self._batch
        if isinstance(self._net, LoadedAdapter):
            if size not in self._seen:  # an adapter sees nothing of the latent, so once is enough
                self._seen[size] = self._net.residuals(self._hint(size, self._net.config.cell))
            inside = tuple(each.repeat(times, 1, 1, 1) for each in self._seen[size].inside)
            return Residuals(inside=inside).times(self._use.strength)
        hint = self._hint(size, 1).repeat(times, 1, 1, 1)
        task = self._use.net.task
        if self._prompt is not None:
            context = repeat_to(self._prompt, self._batch).repeat(times, 1, 1)
        return self._net.residuals(x, timestep, context, pooled, hint, task).times(self._use.strength)

    def _hint(self, size: tuple[int, int], cell: int) -> Tensor:
        """The picture for a latent of this size, one row per latent: cut evenly to its proportions, then scaled. Its
        sides are rounded up to multiples of `cell`."""
        if size not in self._fitted:
            picture = self._use.hint.movedim(-1, 1).float()
            height, width = (math.ceil(side * PIXELS / cell) * cell for side in size)
            if picture.shape[-2:] != (height, width):
                picture = interpolate(
                    crop_to_proportions(picture, width, height), size=(height, width), mode="nearest-exact"
                )
            if self._net.config.hint_channels == 1:
                picture = picture.mean(dim=1, keepdim=True)
            self._fitted[size] = repeat_to(picture, self._batch).to(self._net.device, self._net.dtype)
        return self._fitted[size]


def guides(
    entry: CondEntry, load: Load, unet: UnetConfig, *, levels: DiscreteSchedule, batch: int, input: str
) -> tuple[Control, ...]:
    """The control networks that a prompt uses, ready for a run.

    Raises WrongControlNet when one was made for a model that reads prompts of another width than the U-Net or has other
    levels, or takes a picture of other channels than its own.
    """
    found: list[Control] = []
    uses = uses_of(entry)
    prompt = _prompt_of(entry, unet, input) if uses else None
    for use in uses:
        with blaming(input):
            net = load(use.net)
        name = use.net.file.name
        if isinstance(net, LoadedAdapter):
            if not net.config.fits(unet.channels):
                raise WrongControlNet(
                    f"{name} is a T2I-Adapter for {net.config.family}, and this model is "
                    f"{family_by_context(unet.context_dim)}: the one adds to levels of the widths "
                    f"{list(net.config.channels)}, the other has {list(unet.channels)}.",
                    hint="Choose a T2I-Adapter of the model's family.",
                    input=input,
                )
        elif net.config.context_dim != unet.context_dim:
            raise WrongControlNet(
                f"{name} was made for {net.config.family}, and this model is {family_by_context(unet.context_dim)}: "
                f"the one reads prompts {net.config.context_dim} wide, the other {unet.context_dim}.",
                hint="Choose a ControlNet of the model's family.",
                input=input,
            )
        elif net.config.union is not None and (use.net.task or 0) >= net.config.union.tasks:
            raise WrongControlNet(
                f"{name} knows {net.config.union.tasks} kinds of pictures, and the one chosen is not among them.",
                hint="Choose another kind, or a network that knows it (promax).",
                input=input,
            )
        channels = net.config.hint_channels
        if use.hint.ndim != 4 or (channels != 1 and use.hint.shape[-1] != channels):
            raise WrongControlNet(
                f"{name} follows a picture of {channels} channels; this one has the shape {list(use.hint.shape)}.",
                input=input,
            )
        found.append(Guide(net, use, levels, batch, prompt))
    return tuple(found)


def _prompt_of(entry: CondEntry, unet: UnetConfig, input: str) -> Tensor | None:
    """What the control networks of a prompt read in its place, if anything."""
    given = entry.options.get(PROMPT)
    if given is None:
        return None
    if not isinstance(given, Tensor) or given.dim() != 3 or given.shape[-1] != unet.context_dim:
        shape = list(given.shape) if isinstance(given, Tensor) else type(given).__name__
        raise BadPrompt(
            f"The prompt for the ControlNet must be an embedding {unet.context_dim} wide, and it is {shape}.",
            hint="Encode it with the text encoder of the same checkpoint.",
            code="wrong_text_encoder",
            input=input,
        )
    return given
