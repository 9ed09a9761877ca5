"""SA-Solver (Xue et al. 2023): stochastic Adams methods, a predictor and a corrector in data prediction."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from torch import Tensor

from diffusion.sampling.multistep import combine, lagrange_integrals
from diffusion.sampling.protocols import Denoise, Noise, Report

Tau = Callable[[float], float]
"""How stochastic the step that ends at a sigma is: 0 for the ODE, 1 for the reverse-time SDE."""


def tau_between(high: float, low: float, eta: float = 1.0) -> Tau:
    """`eta` for sigmas between `low` and `high`, and 0 at both ends of the run."""
    return lambda sigma: eta if low <= sigma <= high else 0.0


def sa_solver(
    denoise: Denoise,
    x: Tensor,
    sigmas: Sequence[float],
    *,
    noise: Noise,
    report: Report,
    tau: Tau,
    s_noise: float = 1.0,
    predictor_order: int = 3,
    corrector_order: int = 4,
    pece: bool = False,
    simple_order_2: bool = False,
) -> Tensor:
    """Predict, evaluate, correct (and with `pece` evaluate again).

    The corrector of a step uses the evaluation at its predicted end and the same noise as the predictor. Orders rise
    at the start, and fall at the end of a run to zero. A corrector of order 0 is none. `simple_order_2` takes the
    second order with the simpler weights of appendix D.
    """
    steps = len(sigmas) - 1
    to_zero = sigmas[-1] == 0.0
    times = [-math.log(sigma) if sigma > 0.0 else math.inf for sigma in sigmas]
    history: list[Tensor] = []
    predicted, added, rate = x, None, 0.0
    for i in range(steps):
        denoised = denoise(predicted, sigmas[i])
        history = [denoised, *history[: max(predictor_order, corrector_order) - 1]]
        order = min(corrector_order, len(history), steps - i if to_zero else corrector_order)
        if order == 0 or i == 0 or (sigmas[i + 1] == 0.0 and not pece):
            x = predicted
        else:
            nodes = [times[i - k] for k in range(order)]
            x = _adams(x, times[i - 1], times[i], rate, nodes, history, simple_order_2)
            if added is not None:
                x = x + added
            if pece:
                denoised = denoise(x, sigmas[i])
                history[0] = denoised
        if sigmas[i + 1] == 0.0:
            predicted = x = denoised
        else:
            rate = tau(sigmas[i + 1])
            order = min(predictor_order, len(history), steps - 1 - i if to_zero else predictor_order)
            nodes = [times[i - k] for k in range(order)]
            predicted = _adams(x, times[i], times[i + 1], rate, nodes, history, simple_order_2)
            amount = sigmas[i + 1] * math.sqrt(-math.expm1(-2 * rate**2 * (times[i + 1] - times[i]))) * s_noise
            added = noise(sigmas[i], sigmas[i + 1]) * amount if amount > 0.0 else None
            if added is not None:
                predicted = predicted + added
        report(i, sigmas[i], denoised)
    return predicted


def _adams(
    x: Tensor,
    start: float,
    end: float,
    rate: float,
    nodes: Sequence[float],
    history: Sequence[Tensor],
    simple_order_2: bool,
) -> Tensor:
    """The noise-free part of a step: x decayed, plus the integral of the clean latent's polynomial through `nodes`
    (newest first, as `history`) under the SDE's kernel."""
    speed = 1 + rate**2
    if simple_order_2 and len(nodes) == 2:
        weights = _simple_weights(nodes, start, end, speed)
    else:
        weights = lagrange_integrals(nodes, start, end, lambda t: speed * np.exp((t - end) * speed))
    return x * math.exp((start - end) * speed) + combine(weights, history[: len(nodes)])


def _simple_weights(nodes: Sequence[float], start: float, end: float, speed: float) -> list[float]:
    """Weights, newest first, of two clean latents (appendix D): both add up to the exact integral of a constant, and
    the slope counts to the leading order of the step."""
    h = end - start
    whole = -math.expm1(-h * speed)
    if nodes[0] == end:
        newest = 0.5 * speed * h
        return [newest, whole - newest]
    oldest = 0.5 * speed * h**2 / (nodes[1] - start)
    return [whole - oldest, oldest]
