"""Small models whose right answers are known."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from diffusion.sampling.discrete import DiscreteSchedule
from diffusion.sampling.protocols import ModelInputs, Prediction, Start
from diffusion.values import CondEntry, Conditioning

LEVELS = DiscreteSchedule.scaled_linear()

Denoiser = Callable[[Tensor, float], Tensor]


class Counted:
    """A `GuidedDenoise` from a function, that remembers the sigmas it was asked for."""

    def __init__(self, denoise: Denoiser, unconditional: Denoiser | None = None) -> None:
        self._denoise = denoise
        self._unconditional = unconditional or denoise
        self.sigmas: list[float] = []

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        self.sigmas.append(sigma)
        return self._denoise(x, sigma)

    def with_unconditional(self, x: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
        return self(x, sigma), self._unconditional(x, sigma)


def gaussian(deviation: float) -> Denoiser:
    """The exact denoiser of data drawn from a normal distribution with mean 0."""
    return lambda x, sigma: x * (deviation**2 / (deviation**2 + sigma**2))


def gaussian_path(x: Tensor, deviation: float, start: float, end: float) -> Tensor:
    """Where the probability-flow ODE takes `x` with that denoiser."""
    return x * math.sqrt((deviation**2 + end**2) / (deviation**2 + start**2))


class TinyModel:
    """A `DenoiserModel` that predicts 0.5 tanh(x) + mean of the context, and keeps what it was given."""

    sampling = LEVELS
    latent_channels = 4
    latent_scale = 0.5
    device = torch.device("cpu")
    dtype = torch.float32

    def __init__(self, prediction: Prediction = "eps") -> None:
        self.prediction: Prediction = prediction
        self.calls: list[tuple[Tensor, Tensor, Tensor, Tensor | None]] = []

    def inputs(self, entry: CondEntry, start: Start, *, negative: bool) -> ModelInputs:
        return ModelInputs(entry.pooled)

    def predict(
        self, x: Tensor, timestep: Tensor, context: Tensor, pooled: Tensor | None = None, residuals: object = None
    ) -> Tensor:
        self.calls.append((x, timestep, context, pooled))
        return 0.5 * torch.tanh(x) + context.mean(dim=(1, 2))[:, None, None, None]


def prompt(level: float, *, tokens: int = 77, pooled: Tensor | None = None, **options: object) -> Conditioning:
    """A conditioning of one entry whose embedding is `level` everywhere."""
    return Conditioning((CondEntry(torch.full((1, tokens, 8), level), pooled, options),))


def together(*conditionings: Conditioning) -> Conditioning:
    return Conditioning(tuple(entry for conditioning in conditionings for entry in conditioning.entries))
