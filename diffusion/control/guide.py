"""A control network at work in one run: its picture fitted to the latent, its strength, its part of the sampling."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn.functional import interpolate

from diffusion.control.architecture import family_of
from diffusion.control.network import LoadedControlNet
from diffusion.control.uses import uses_of
from diffusion.errors import DiffusionError
from diffusion.images import crop_to_proportions
from diffusion.ops.batches import repeat_to
from diffusion.sampling.discrete import DiscreteSchedule
from diffusion.sampling.protocols import Control, Residuals
from diffusion.values import CondEntry, ControlNetRef, ControlUse

PIXELS = 8
"""Pixels of the picture per latent cell, along one side."""

Load = Callable[[ControlNetRef], LoadedControlNet]


class WrongControlNet(DiffusionError):
    """A control network that was made for another kind of model."""

    default_code = "wrong_control_net"


class Guide:
    """A `Control`: one use of a control network in one run. `batch` is how many latents a prompt is asked for."""

    def __init__(self, net: LoadedControlNet, use: ControlUse, levels: DiscreteSchedule, batch: int) -> None:
        self._net = net
        self._use = use
        self._batch = batch
        self._first = levels.percent_to_sigma(use.start_percent)
        self._last = levels.percent_to_sigma(use.end_percent)
        self._fitted: dict[tuple[int, int], Tensor] = {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Guide) and self._net is other._net and self._use is other._use

    def __hash__(self) -> int:
        return hash((id(self._net), id(self._use)))

    def active(self, sigma: float) -> bool:
        return self._use.strength != 0 and self._last <= sigma <= self._first

    def residuals(self, x: Tensor, timestep: Tensor, context: Tensor, pooled: Tensor | None) -> Residuals:
        hint = self._hint((x.shape[-2], x.shape[-1]))
        hint = hint.repeat(x.shape[0] // self._batch, 1, 1, 1)
        return self._net.residuals(x, timestep, context, pooled, hint).times(self._use.strength)

    def _hint(self, size: tuple[int, int]) -> Tensor:
        """The picture for a latent of this size, one row per latent: cut evenly to its proportions, then scaled."""
        if size not in self._fitted:
            picture = self._use.hint.movedim(-1, 1).float()
            height, width = size[0] * PIXELS, size[1] * PIXELS
            if picture.shape[-2:] != (height, width):
                picture = interpolate(
                    crop_to_proportions(picture, width, height), size=(height, width), mode="nearest-exact"
                )
            self._fitted[size] = repeat_to(picture, self._batch).to(self._net.device, self._net.dtype)
        return self._fitted[size]


def guides(
    entry: CondEntry, load: Load, *, context_dim: int, levels: DiscreteSchedule, batch: int, input: str
) -> tuple[Control, ...]:
    """The control networks that a prompt uses, ready for a run.

    Raises WrongControlNet when one was made for a model that reads prompts of another width than `context_dim`, or
    takes a picture of other channels than its own.
    """
    found: list[Control] = []
    for use in uses_of(entry):
        net = load(use.net)
        if net.config.context_dim != context_dim:
            raise WrongControlNet(
                f"{use.net.file.name} was made for {net.config.family}, and this model is {family_of(context_dim)}: "
                f"the one reads prompts {net.config.context_dim} wide, the other {context_dim}.",
                hint="Choose a ControlNet of the model's family.",
                input=input,
            )
        if use.hint.ndim != 4 or use.hint.shape[-1] != net.config.hint_channels:
            raise WrongControlNet(
                f"{use.net.file.name} follows a picture of {net.config.hint_channels} channels; this one has the shape "
                f"{list(use.hint.shape)}.",
                input=input,
            )
        found.append(Guide(net, use, levels, batch))
    return tuple(found)
