"""SEEDS (Gonzalez et al. 2023): exponential SDE solvers whose stages share one path of noise. Time is -ln sigma."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from diffusion.sampling.protocols import Denoise, Noise, Report


class _Path:
    """The noise of one step, gathered from stage to stage. Noise at one stage shrinks by e^(-eta dt) until the next,
    on top of the fall of sigma, and each stage adds its own."""

    def __init__(self, noise: Noise, sigma: float, h: float, eta: float, s_noise: float) -> None:
        self._noise = noise
        self._start = sigma
        self._h = h
        self._eta = eta
        self._s_noise = s_noise
        self._at = 0.0
        self._gathered: Tensor | None = None

    def add_to(self, x: Tensor, at: float) -> Tensor:
        """Go on to a part `at` of the step and add the noise gathered there to `x`."""
        sigma = self._start * math.exp(-at * self._h)
        if self._eta == 0.0 or self._s_noise == 0.0:
            return x
        passed = (at - self._at) * self._h * self._eta
        fresh = self._noise(self._start * math.exp(-self._at * self._h), sigma) * math.sqrt(-math.expm1(-2 * passed))
        self._gathered = fresh if self._gathered is None else fresh.add_(self._gathered, alpha=math.exp(-passed))
        self._at = at
        return torch.add(x, self._gathered, alpha=sigma * self._s_noise)


def seeds_2(
    denoise: Denoise,
    x: Tensor,
    sigmas: Sequence[float],
    *,
    noise: Noise,
    report: Report,
    eta: float = 1.0,
    s_noise: float = 1.0,
    r: float = 0.5,
) -> Tensor:
    """SEEDS-2 in data prediction, with its inner stage a part `r` of the way."""
    for i in range(len(sigmas) - 1):
        denoised = denoise(x, sigmas[i])
        if sigmas[i + 1] > 0.0:
            h = math.log(sigmas[i] / sigmas[i + 1])
            h_eta = h * (1 + eta)
            path = _Path(noise, sigmas[i], h, eta, s_noise)
            inner = path.add_to(torch.lerp(denoised, x, math.exp(-r * h_eta)), r)
            target = torch.lerp(denoised, denoise(inner, sigmas[i] * math.exp(-r * h)), 1 / (2 * r))
            x = path.add_to(torch.lerp(target, x, math.exp(-h_eta)), 1.0)
        else:
            x = denoised
        report(i, sigmas[i], denoised)
    return x


def seeds_3(
    denoise: Denoise,
    x: Tensor,
    sigmas: Sequence[float],
    *,
    noise: Noise,
    report: Report,
    eta: float = 1.0,
    s_noise: float = 1.0,
    r1: float = 1 / 3,
    r2: float = 2 / 3,
) -> Tensor:
    """SEEDS-3 in data prediction, with inner stages parts `r1` and `r2` of the way."""
    for i in range(len(sigmas) - 1):
        denoised = denoise(x, sigmas[i])
        if sigmas[i + 1] > 0.0:
            h = math.log(sigmas[i] / sigmas[i + 1])
            h_eta = h * (1 + eta)
            path = _Path(noise, sigmas[i], h, eta, s_noise)
            inner = path.add_to(torch.lerp(denoised, x, math.exp(-r1 * h_eta)), r1)
            change = denoise(inner, sigmas[i] * math.exp(-r1 * h)) - denoised
            inner = torch.lerp(denoised, x, math.exp(-r2 * h_eta))
            inner = path.add_to(torch.add(inner, change, alpha=r2 / r1 * _phi_2(r2 * h_eta)), r2)
            change = denoise(inner, sigmas[i] * math.exp(-r2 * h)) - denoised
            x = torch.lerp(denoised, x, math.exp(-h_eta))
            x = path.add_to(torch.add(x, change, alpha=_phi_2(h_eta) / r2), 1.0)
        else:
            x = denoised
        report(i, sigmas[i], denoised)
    return x


def _phi_2(h: float) -> float:
    """Weight of the slope of the clean latent over a step of length h: 1 + (e^-h - 1) / h."""
    return 1 + math.expm1(-h) / h
