"""Linear multistep methods along dx/dsigma = eps(x, sigma): the noise predictions of past steps make a polynomial,
which is integrated over the next step. They cost one evaluation a step."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from diffusion.sampling.protocols import Denoise, Report

ADAMS_BASHFORTH: tuple[tuple[float, ...], ...] = (
    (1.0,),
    (3 / 2, -1 / 2),
    (23 / 12, -16 / 12, 5 / 12),
    (55 / 24, -59 / 24, 37 / 24, -9 / 24),
)
"""Weights of the newest to the oldest slope, for evenly spaced steps."""


_FEW_POINTS = np.polynomial.legendre.leggauss(4)
_MANY_POINTS = np.polynomial.legendre.leggauss(32)


def lagrange_integrals(
    nodes: Sequence[float], start: float, end: float, weight: Callable[[np.ndarray], np.ndarray] | None = None
) -> list[float]:
    """Integrals from `start` to `end` of weight(t) times each Lagrange basis polynomial on `nodes`.

    By Gauss-Legendre quadrature: exact without a weight, to about 1e-14 for the smooth weights used here.
    """
    if weight is not None:
        points, weights = _MANY_POINTS
    else:
        points, weights = _FEW_POINTS if len(nodes) <= 8 else np.polynomial.legendre.leggauss((len(nodes) + 1) // 2)
    t = (end + start) / 2 + (end - start) / 2 * points
    scale = weights * (end - start) / 2
    if weight is not None:
        scale = scale * weight(t)
    basis = (
        math.prod((t - other) / (node - other) for k, other in enumerate(nodes) if k != j)
        for j, node in enumerate(nodes)
    )
    return [float(np.sum(scale * polynomial)) for polynomial in basis]


def combine(coefficients: Sequence[float], tensors: Sequence[Tensor]) -> Tensor:
    """The weighted sum of tensors."""
    total = tensors[0] * coefficients[0]
    for coefficient, tensor in zip(coefficients[1:], tensors[1:], strict=True):
        total.add_(tensor, alpha=coefficient)
    return total


Coefficients = Callable[[int, int], Sequence[float]]
"""For the step of an index and the number of slopes at hand: what each slope (newest first) is multiplied by."""


def _multistep(
    denoise: Denoise, x: Tensor, sigmas: Sequence[float], order: int, coefficients: Coefficients, report: Report
) -> Tensor:
    """The loop that these methods share; the last step, to zero, takes the clean latent itself."""
    slopes: list[Tensor] = []
    for i in range(len(sigmas) - 1):
        denoised = denoise(x, sigmas[i])
        if sigmas[i + 1] > 0.0:
            slopes = [(x - denoised) / sigmas[i], *slopes[: order - 1]]
            x = x + combine(coefficients(i, len(slopes)), slopes)
        else:
            x = denoised
        report(i, sigmas[i], denoised)
    return x


def lms(denoise: Denoise, x: Tensor, sigmas: Sequence[float], *, report: Report, order: int = 4) -> Tensor:
    """Adams-Bashforth on the sigmas as they are spaced (Crowson's LMS)."""

    def coefficients(i: int, count: int) -> list[float]:
        return lagrange_integrals([sigmas[i - k] for k in range(count)], sigmas[i], sigmas[i + 1])

    return _multistep(denoise, x, sigmas, order, coefficients, report)


def ipndm(denoise: Denoise, x: Tensor, sigmas: Sequence[float], *, report: Report, order: int = 4) -> Tensor:
    """The improved PNDM of DEIS (Zhang and Chen 2023): Adams-Bashforth with the weights of even spacing, lower orders
    first."""

    def coefficients(i: int, count: int) -> list[float]:
        return [weight * (sigmas[i + 1] - sigmas[i]) for weight in ADAMS_BASHFORTH[count - 1]]

    return _multistep(denoise, x, sigmas, order, coefficients, report)


def ipndm_v(denoise: Denoise, x: Tensor, sigmas: Sequence[float], *, report: Report) -> Tensor:
    """iPNDM with the steps as they are spaced, up to order 4 (AMED-Solver's iPNDM-v, Zhou et al. 2024)."""

    def coefficients(i: int, count: int) -> list[float]:
        widths = [sigmas[i - k] - sigmas[i - k - 1] for k in range(count - 1)]
        return _ipndm_v_weights(sigmas[i + 1] - sigmas[i], widths)

    return _multistep(denoise, x, sigmas, 4, coefficients, report)


def _ipndm_v_weights(h: float, widths: Sequence[float]) -> list[float]:
    """Weights, newest first, for a step of `h` after steps of `widths` (newest first).

    Adams-Bashforth in Newton's form, one term for each difference of slopes. The terms `third` and `fourth` and the
    last weight depart from Adams-Bashforth on uneven steps: they are the form that agrees with the recordings,
    chosen for that and not derived.
    """
    weights = [1.0, 0.0, 0.0, 0.0]
    if len(widths) >= 1:
        second = h / widths[0] / 2
        weights[0] += second
        weights[1] -= second
    if len(widths) >= 2:
        h1, h2 = widths[:2]
        third = (1 - h**2 / (3 * h1 * (h1 + h2))) / 2
        weights[0] += third
        weights[1] -= third * (1 + h1 / h2)
        weights[2] += third * h1 / h2
    if len(widths) >= 3:
        h1, h2, h3 = widths[:3]
        one, two = h + h1, h + h1 + h2
        scale = h * one * two / (h1 * (h1 + h2) * (h1 + h2 + h3))
        fourth = scale * ((1 - h / (3 * one)) / 2 + (1 - h / (2 * one)) * h / (6 * two))
        ratio = h1 * (h1 + h2) / (h2 * (h2 + h3))
        weights[0] += fourth
        weights[1] -= fourth * (1 + h1 / h2 + ratio)
        weights[2] += fourth * (h1 / h2 + ratio * (1 + h2 / h3))
        weights[3] -= fourth * ratio * h1 / h2
    return [weight * h for weight in weights[: len(widths) + 1]]


def deis(denoise: Denoise, x: Tensor, sigmas: Sequence[float], *, report: Report, order: int = 3) -> Tensor:
    """tAB-DEIS (Zhang and Chen 2023): the polynomial is in the time of the variance-preserving diffusion."""
    times = [_vp_time(sigma) for sigma in sigmas]

    def coefficients(i: int, count: int) -> list[float]:
        return lagrange_integrals([times[i - k] for k in range(count)], times[i], times[i + 1], _vp_sigma_rate)

    return _multistep(denoise, x, sigmas, order, coefficients, report)


_EPSILON, _SIGMA_MIN, _SIGMA_MAX = 1e-3, 0.002, 80.0
_BETA_D = 2 * (math.log(_SIGMA_MIN**2 + 1) / _EPSILON - math.log(_SIGMA_MAX**2 + 1)) / (_EPSILON - 1)
_BETA_MIN = math.log(_SIGMA_MAX**2 + 1) - 0.5 * _BETA_D


def _vp_time(sigma: float) -> float:
    """Time in 0 to 1 at which the VP diffusion of Karras et al. 2022 (table 1), fitted to run from 0.002 at time 0.001
    to 80 at time 1, has the noise level `sigma`."""
    return (math.sqrt(_BETA_MIN**2 + 2 * _BETA_D * math.log(sigma**2 + 1)) - _BETA_MIN) / _BETA_D


def _vp_sigma_rate(t: np.ndarray) -> np.ndarray:
    """d sigma / dt of that diffusion, sigma² + 1 = exp(beta_d t² / 2 + beta_min t)."""
    level = np.exp(0.5 * _BETA_D * t**2 + _BETA_MIN * t)
    return level * (_BETA_D * t + _BETA_MIN) / (2 * np.sqrt(level - 1))


def plms(denoise: Denoise, x: Tensor, sigmas: Sequence[float], *, report: Report) -> Tensor:
    """Pseudo linear multistep (Liu et al. 2022, PNDM) as latent diffusion samples with it: Adams-Bashforth weights of
    rising order on DDIM steps, after one step of Heun's method."""
    slopes: list[Tensor] = []
    for i in range(len(sigmas) - 1):
        sigma, sigma_next = sigmas[i], sigmas[i + 1]
        denoised = denoise(x, sigma)
        slopes = [(x - denoised) / sigma, *slopes[:3]]
        slope = combine(ADAMS_BASHFORTH[len(slopes) - 1], slopes)
        if i == 0 and sigma_next > 0.0:
            ahead = torch.add(x, slope, alpha=sigma_next - sigma)
            slope = (slope + (ahead - denoise(ahead, sigma_next)) / sigma_next) / 2
        x = torch.add(x, slope, alpha=sigma_next - sigma)
        report(i, sigma, denoised)
    return x
