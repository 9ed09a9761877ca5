"""Guidance whose parts along and across a prediction count differently: APG and tangential damping."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from diffusion.errors import DiffusionError
from diffusion.sampling.run_patches import RunPatch, Seen

_PICTURE = (1, 2, 3)


class AdaptiveProjection(RunPatch):
    """APG (Sadat et al. 2024, "Eliminating Oversaturation and Artifacts of High Guidance Scales in Diffusion Models"):
    what leads from the negative to the positive gets momentum, is kept to a length, and its part along the positive
    is multiplied by eta.

    As in ComfyUI, the plain step from the negative to the positive is made once beside it, so that with neutral
    settings a scale of s acts like s + 1. Without a negative the step starts from zeros.
    """

    def __init__(self, eta: float, norm_threshold: float, momentum: float) -> None:
        self._eta = eta
        self._threshold = norm_threshold
        self._momentum = momentum
        self._average: Tensor | None = None
        self._last_sigma = math.inf

    def before(self, seen: Seen) -> Seen:
        if seen.cfg == 0.0:
            raise DiffusionError(
                "Adaptive projected guidance divides by the guidance scale, which is 0.",
                input="cfg",
                code="bad_cfg",
                hint="Use a scale above 0, or take the APG node out.",
            )
        plain = seen.positive - seen.unconditional
        step = self._moved(plain, seen.sigma)
        if self._threshold > 0.0:
            length = torch.linalg.vector_norm(step, dim=_PICTURE, keepdim=True)
            step = step * (self._threshold / length).clamp(max=1.0)
        along = projected(step, seen.positive)
        step = step + along * (self._eta - 1.0)
        return replace(seen, positive=seen.unconditional + step + plain / seen.cfg)

    def _moved(self, step: Tensor, sigma: float) -> Tensor:
        """The running sum of the steps, each counting `momentum` times less than the one after it. Noise that rises
        begins anew."""
        if self._momentum == 0.0:
            return step
        if self._average is not None and sigma <= self._last_sigma:
            step = step + self._average * self._momentum
        self._average, self._last_sigma = step, sigma
        return step


class TangentialDamping(RunPatch):
    """TCFG (Kwon et al. 2025, "TCFG: Tangential Damping Classifier-free Guidance"): of the negative's noise only the
    part along the first right singular vector of both predictions' noises stays. Without a negative it does nothing."""

    def before(self, seen: Seen) -> Seen:
        if seen.negative is None:
            return seen
        return replace(seen, negative=seen.x - damped(seen.x - seen.negative, seen.x - seen.positive))


def projected(x: Tensor, onto: Tensor) -> Tensor:
    """The part of each `x` `[B,C,h,w]` along `onto`."""
    direction = torch.nn.functional.normalize(onto.flatten(1), dim=1).view_as(onto)
    return (x * direction).sum(dim=_PICTURE, keepdim=True) * direction


def damped(one: Tensor, other: Tensor) -> Tensor:
    """The part of each `one` `[B,C,h,w]` along the first right singular vector of the matrix whose rows are `one` and
    `other`.

    With w the first eigenvector of the 2×2 matrix of their products, that vector is (w₀·one + w₁·other) / √λ, and the
    product of `one` with it is w₀·√λ. The matrix is made on the CPU: it takes float64, which Apple's GPUs lack.
    """
    rows = torch.stack([one.flatten(1), other.flatten(1)], dim=1).cpu().double()
    first = torch.linalg.eigh(rows @ rows.mT).eigenvectors[:, :, -1]
    shares = (first[:, :1] * first).to(one)
    return one * shares[:, 0, None, None, None] + other * shares[:, 1, None, None, None]
