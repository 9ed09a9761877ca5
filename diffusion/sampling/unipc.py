"""UniPC (Zhao et al. 2023): a multistep predictor and corrector of any order that share their evaluations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from diffusion.sampling.multistep import combine
from diffusion.sampling.protocols import Denoise, Report

LAST_SIGMA = 2.0**-10
"""Where a run to zero ends, half-log-SNR being infinite at zero itself. The reference asks for 0.001 and computes with
the variance 1 - 1 / (1 + sigma²) in float32, which makes it this."""


def uni_pc(
    denoise: Denoise,
    x: Tensor,
    sigmas: Sequence[float],
    *,
    report: Report,
    order: int = 3,
    variant: Literal["bh1", "bh2"] = "bh1",
) -> Tensor:
    """Data-prediction UniPC with B(h) = h (`bh1`) or e^h - 1 (`bh2`).

    The order rises from 1 at the start and falls back to 1 at the end. The evaluation that corrects a step is the one
    the next step starts from, so each step costs one evaluation. A run of one step evaluates and changes nothing but
    the scale, as the reference does.
    """
    steps = len(sigmas) - 1
    levels = [*sigmas[:-1], sigmas[-1] if sigmas[-1] > 0.0 else LAST_SIGMA]
    highest = min(order, steps - 1)
    history = [denoise(x, levels[0])]
    if steps == 1:
        report(0, levels[0], history[0])
        return x * math.sqrt((1 + levels[1] ** 2) / (1 + levels[0] ** 2))
    for i in range(steps):
        used = min(highest, i + 1, steps - i)
        update = _Update(levels, i, used, variant)
        predicted = update.predict(x, history)
        report(i, levels[i], history[0])
        if i + 1 == steps:
            return predicted
        denoised = denoise(predicted, levels[i + 1])
        x = update.correct(x, history, denoised)
        history = [denoised, *history[: highest - 1]]
    return x


class _Update:
    """The step from `levels[i]` to the next with `order` past evaluations (newest first)."""

    def __init__(self, levels: Sequence[float], i: int, order: int, variant: str) -> None:
        times = [-math.log(level) for level in levels[: i + 2]]
        h = times[i + 1] - times[i]
        self.order = order
        self.keep = math.exp(-h)
        self.b_h = -h if variant == "bh1" else math.expm1(-h)
        # Where the evaluations lie, in steps from this one: the past ones (negative), then the end of the step.
        self.places = [(times[i - k] - times[i]) / h for k in range(1, order)] + [1.0]
        rest = math.expm1(-h)
        moments: list[float] = []
        for k in range(1, order + 1):
            rest = rest / -h - 1 / math.factorial(k)
            moments.append(rest * math.factorial(k) / self.b_h)
        self.moments = moments

    def _weights(self, count: int) -> list[float]:
        """Weights of the first `count` divided differences that match as many moments of the integral; half where
        only one is there, as the paper has it."""
        if count == 1:
            return [0.5]
        powers = np.vander(np.array(self.places[:count]), increasing=True).T
        return list(np.linalg.solve(powers, np.array(self.moments[:count])))

    def _start(self, x: Tensor, denoised: Tensor) -> Tensor:
        return torch.lerp(denoised, x, self.keep)

    def _differences(self, history: Sequence[Tensor]) -> list[Tensor]:
        return [(history[k] - history[0]) / self.places[k - 1] for k in range(1, self.order)]

    def predict(self, x: Tensor, history: Sequence[Tensor]) -> Tensor:
        start = self._start(x, history[0])
        if self.order == 1:
            return start
        return start - self.b_h * combine(self._weights(self.order - 1), self._differences(history))

    def correct(self, x: Tensor, history: Sequence[Tensor], denoised: Tensor) -> Tensor:
        differences = [*self._differences(history), denoised - history[0]]
        return self._start(x, history[0]) - self.b_h * combine(self._weights(self.order), differences)
