"""What sampling asks of a model, and what it tells its caller: the seam between sampling and the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from diffusion.sampling.discrete import DiscreteSchedule
    from diffusion.values import CondEntry

Prediction = Literal["eps", "v", "x0", "lcm", "img_to_img"]
"""What the network's output stands for: the noise, the velocity (Salimans and Ho 2022), the clean latent, the noise of
a latent consistency model, or the clean latent of a network that reads x as it is, not scaled to unit variance."""


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """What a run starts from: the latent `[B,C,h,w]` in the network's scale, before noise, its mask `[B,1,h,w]` (1
    where to sample) or None, and the seed. `generator` has drawn the first noise, if any was, and is what all draws
    from that have no seed of their own; None makes it from the seed."""

    latent: Tensor
    mask: Tensor | None = None
    seed: int = 0
    generator: torch.Generator | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Residuals:
    """What control networks add to a U-Net, float32. `down` goes to the output of each layer of its way down, where it
    leaves for the way up, and `middle` to that of its middle. `inside` goes to the last layer of each level on the way
    down, and for SDXL also to the middle, before the next one reads it. Empty, or None, is nothing.
    """

    down: tuple[Tensor, ...] = ()
    middle: Tensor | None = None
    inside: tuple[Tensor, ...] = ()

    def times(self, strength: float) -> Residuals:
        middle = None if self.middle is None else self.middle * strength
        return Residuals(_times(self.down, strength), middle, _times(self.inside, strength))

    def to(self, dtype: torch.dtype) -> Residuals:
        middle = None if self.middle is None else self.middle.to(dtype)
        return Residuals(tuple(x.to(dtype) for x in self.down), middle, tuple(x.to(dtype) for x in self.inside))

    def plus(self, other: Residuals) -> Residuals:
        middles = [each for each in (self.middle, other.middle) if each is not None]
        middle = sum(middles[1:], start=middles[0]) if middles else None
        return Residuals(_plus(self.down, other.down), middle, _plus(self.inside, other.inside))


def _times(values: tuple[Tensor, ...], strength: float) -> tuple[Tensor, ...]:
    return tuple(each * strength for each in values)


def _plus(ours: tuple[Tensor, ...], theirs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    if not ours or not theirs:
        return ours or theirs
    return tuple(a + b for a, b in zip(ours, theirs, strict=True))


class Control(Protocol):
    """A control network at work in one run. Two are equal when they give the same for the same input."""

    def active(self, sigma: float) -> bool:
        """Whether it has a say at a noise level."""
        ...

    def residuals(self, x: Tensor, timestep: Tensor, context: Tensor, pooled: Tensor | None) -> Residuals:
        """What it adds for a forward pass; the arguments are those of `DenoiserModel.predict`, x without channels."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class ModelInputs:
    """What a network reads beside the latent, the time and the prompt's tokens; None where it reads no such thing.

    vector: `[1 or B,P]`, one vector for the whole picture. channels: `[B,K,h,w]`, joined to the scaled latent.
    controls: the control networks that the prompt uses.
    """

    vector: Tensor | None = None
    channels: Tensor | None = None
    controls: tuple[Control, ...] = ()


class DenoiserModel(Protocol):
    """A diffusion model as the samplers see it: its noise levels and one forward pass."""

    @property
    def sampling(self) -> DiscreteSchedule:
        """The noise levels the model was trained on."""
        ...

    @property
    def prediction(self) -> Prediction: ...

    @property
    def latent_channels(self) -> int: ...

    @property
    def latent_scale(self) -> float:
        """What a VAE latent is multiplied by before the network sees it, e.g. 0.18215."""
        ...

    @property
    def device(self) -> torch.device: ...

    @property
    def dtype(self) -> torch.dtype:
        """What the network computes in; contexts are handed over in it."""
        ...

    def inputs(self, entry: CondEntry, start: Start, *, negative: bool) -> ModelInputs:
        """What the network reads of a prompt beside its tokens, for latents of `start`; asked once in a run.

        Raises `DiffusionError` when the conditioning lacks what the network needs.
        """
        ...

    def predict(
        self,
        x: Tensor,
        timestep: Tensor,
        context: Tensor,
        pooled: Tensor | None = None,
        residuals: Residuals | None = None,
    ) -> Tensor:
        """One forward pass.

        x: float32 `[B,C+K,h,w]`, already scaled to unit variance (x / sqrt(sigma² + 1); for `img_to_img` as it is),
        with the channels of `inputs` behind it. timestep: float32 `[B]`, integers 0 to 999. context: `[B,T,D]`.
        pooled: the vector of `inputs`, `[B,P]`, or None. residuals: what the prompts' control networks add.
        Returns the raw output, float32 `[B,C,h,w]`.
        """
        ...


@dataclass(frozen=True, slots=True)
class StepInfo:
    """One finished step. `denoised` is the present guess at the picture, float32 `[B,C,h,w]` in the network's scale,
    on the model's device; reading its values waits for the device."""

    step: int
    """From 1 to `total`."""
    total: int
    sigma: float
    denoised: Tensor


OnStep = Callable[[StepInfo], None]
"""Called after each step; may raise to stop the job."""

Check = Callable[[], None]
"""Called before each model evaluation; may raise to stop the job."""


class Denoise(Protocol):
    """The model as a sampler sees it: the expected clean latent for `x` at noise level `sigma`."""

    def __call__(self, x: Tensor, sigma: float) -> Tensor: ...


class GuidedDenoise(Denoise, Protocol):
    """A `Denoise` that can also tell the negative prompt's part, which the CFG++ samplers step along."""

    def with_unconditional(self, x: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
        """Return the guided clean latent and the one for the negative prompt alone (never skipped)."""
        ...


Noise = Callable[[float, float], "Tensor"]
"""Standard normal noise in the shape of the latent, for the step from one sigma to another."""

Report = Callable[[int, float, "Tensor"], None]
"""Called by a sampler when a step is done, with its index from 0, its sigma, and the clean latent it had."""
