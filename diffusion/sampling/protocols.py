"""What sampling asks of a model, and what it tells its caller: the seam between sampling and the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from diffusion.sampling.discrete import DiscreteSchedule

Prediction = Literal["eps", "v", "x0"]
"""What the network's output stands for: the noise, the velocity (Salimans and Ho 2022), or the clean latent."""


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

    def predict(self, x: Tensor, timestep: Tensor, context: Tensor, pooled: Tensor | None = None) -> Tensor:
        """One forward pass.

        x: float32 `[B,C,h,w]`, already scaled to unit variance (x / sqrt(sigma² + 1)).
        timestep: float32 `[B]`, integers 0 to 999. context: `[B,T,D]`. pooled: `[B,P]` or None.
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
