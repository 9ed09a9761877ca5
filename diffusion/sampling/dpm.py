"""DPM-Solver (Lu et al. 2022): exponential integrators for the noise prediction; time is half-log-SNR, -ln sigma."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from diffusion.errors import DiffusionError
from diffusion.sampling.euler import add_noise, ancestral_step, euler_step
from diffusion.sampling.protocols import Denoise, Noise, Report


def dpm_2(denoise: Denoise, x: Tensor, sigmas: Sequence[float], *, report: Report) -> Tensor:
    """The midpoint rule, with the midpoint at the geometric mean of the sigmas; Euler to zero."""
    for i in range(len(sigmas) - 1):
        denoised = denoise(x, sigmas[i])
        x = _midpoint(denoise, x, denoised, sigmas[i], sigmas[i + 1])
        report(i, sigmas[i], denoised)
    return x


def dpm_2_ancestral(
    denoise: Denoise,
    x: Tensor,
    sigmas: Sequence[float],
    *,
    noise: Noise,
    report: Report,
    eta: float = 1.0,
    s_noise: float = 1.0,
) -> Tensor:
    """`dpm_2` that goes further down and adds fresh noise back, but none to a step that went down to 0."""
    for i in range(len(sigmas) - 1):
        denoised = denoise(x, sigmas[i])
        down, up = ancestral_step(sigmas[i], sigmas[i + 1], eta)
        x = _midpoint(denoise, x, denoised, sigmas[i], down)
        if down > 0.0:
            x = add_noise(x, noise, sigmas[i], sigmas[i + 1], up * s_noise)
        report(i, sigmas[i], denoised)
    return x


def _midpoint(denoise: Denoise, x: Tensor, denoised: Tensor, sigma: float, sigma_next: float) -> Tensor:
    if sigma_next == 0.0:
        return denoised
    middle = math.sqrt(sigma * sigma_next)
    halfway = euler_step(x, denoised, sigma, middle)
    return torch.add(x, halfway - denoise(halfway, middle), alpha=(sigma_next - sigma) / middle)


class _Solver:
    """Single steps of order 1 to 3 between two times (-ln sigma), sharing the evaluations they have in common."""

    def __init__(self, denoise: Denoise, x: Tensor, start: float, end: float) -> None:
        self.denoise = denoise
        self.x = x
        self.start = start
        self.h = end - start
        self.sigma_end = math.exp(-end)
        sigma = math.exp(-start)
        self.denoised = denoise(x, sigma)
        self.eps = (x - self.denoised) / sigma
        self._changes: dict[float, Tensor] = {}

    def change_at(self, r: float) -> Tensor:
        """The noise predicted a part `r` of the way, less that at the start; by a first-order step to there."""
        if r not in self._changes:
            sigma = math.exp(-(self.start + r * self.h))
            ahead = torch.add(self.x, self.eps, alpha=-sigma * math.expm1(r * self.h))
            self._changes[r] = (ahead - self.denoise(ahead, sigma)) / sigma - self.eps
        return self._changes[r]

    def first_order(self) -> Tensor:
        return torch.add(self.x, self.eps, alpha=-self.sigma_end * math.expm1(self.h))

    def second_order(self, r: float) -> Tensor:
        """DPM-Solver-2 with the inner point a part `r` of the way."""
        weight = -self.sigma_end * math.expm1(self.h) / (2 * r)
        return torch.add(self.first_order(), self.change_at(r), alpha=weight)

    def third_order(self, r1: float = 1 / 3, r2: float = 2 / 3) -> Tensor:
        """DPM-Solver-3."""
        if self.h == 0.0:
            return self.x
        h2 = r2 * self.h
        sigma = math.exp(-(self.start + h2))
        ahead = torch.add(self.x, self.eps, alpha=-sigma * math.expm1(h2))
        ahead = torch.add(ahead, self.change_at(r1), alpha=-sigma * (r2 / r1) * (math.expm1(h2) / h2 - 1))
        change = (ahead - self.denoise(ahead, sigma)) / sigma - self.eps
        weight = -self.sigma_end / r2 * (math.expm1(self.h) / self.h - 1)
        return torch.add(self.first_order(), change, alpha=weight)


def _times(sigmas: Sequence[float]) -> tuple[float, float]:
    """Time at the first sigma and at the last that isn't zero."""
    last = sigmas[-1] if sigmas[-1] > 0.0 else sigmas[-2]
    return -math.log(sigmas[0]), -math.log(last)


def dpm_fast(denoise: Denoise, x: Tensor, sigmas: Sequence[float], *, report: Report) -> Tensor:
    """DPM-Solver-fast (appendix D.3): as many evaluations as there are steps, in steps of order 3 and a remainder of
    lower order, even in time from the first sigma to the last that isn't zero."""
    evaluations = len(sigmas) - 1
    start, end = _times(sigmas)
    whole, rest = divmod(evaluations, 3)
    orders = [3] * (whole - 1) + [2, 1] if rest == 0 else [3] * whole + [rest]
    done = 0
    for i, order in enumerate(orders):
        t0 = start + (end - start) * i / len(orders)
        step = _Solver(denoise, x, t0, start + (end - start) * (i + 1) / len(orders))
        x = (step.first_order, lambda s=step: s.second_order(1 / 2), step.third_order)[order - 1]()
        done += order
        report(done - 1, math.exp(-t0), step.denoised)
    return x


class _StepSize:
    """A PID controller of the step size (Söderlind 2003) on the inverse errors of this and the last two steps taken."""

    def __init__(self, first: float, order: float, gains: tuple[float, float, float], safety: float) -> None:
        p, i, d = gains
        self._powers = ((p + i + d) / order, -(p + 2 * d) / order, d / order)
        self._safety = safety
        self._inverses: tuple[float, float] | None = None
        self.size = first

    def accepts(self, error: float) -> bool:
        """Whether a step with this error may be taken; changes the size for the next try either way."""
        now = 1 / (error + 1e-8)
        last, before = self._inverses or (now, now)
        factor = now ** self._powers[0] * last ** self._powers[1] * before ** self._powers[2]
        factor = 1 + math.atan(factor - 1)
        self.size *= factor
        if factor < self._safety:
            self._inverses = (last, before)
            return False
        self._inverses = (now, last)
        return True


def dpm_adaptive(
    denoise: Denoise,
    x: Tensor,
    sigmas: Sequence[float],
    *,
    report: Report,
    noise: Noise | None = None,
    order: int = 3,
    rtol: float = 0.05,
    atol: float = 0.0078,
    first_step: float = 0.05,
    p: float = 0.0,
    i: float = 1.0,
    d: float = 0.0,
    safety: float = 0.81,
    eta: float = 0.0,
    s_noise: float = 1.0,
) -> Tensor:
    """DPM-Solver-12 and -23 (appendix C): steps of `order` (2 or 3) whose size follows the difference to the order
    below, by a PID controller with gains `p`, `i`, `d`; a step is taken again, smaller, when the factor for its size is
    below `safety`. With `eta`, which needs sigmas that fall, the steps go further down and `noise` makes up for it.
    Progress is reported as the part of the way in log sigma.
    """
    total = len(sigmas) - 1
    start, end = _times(sigmas)
    now, lower = start, x
    control = _StepSize(math.copysign(first_step, end - start), 1.5 if eta else order, (p, i, d), safety)
    while abs(end - now) > 1e-5:
        after = end if abs(control.size) > abs(end - now) else now + control.size
        target, up = after, 0.0
        if eta:
            down, _ = ancestral_step(math.exp(-now), math.exp(-after), eta)
            target = min(end, -math.log(down)) if down > 0.0 else end
            up = math.sqrt(max(0.0, math.exp(-2 * after) - math.exp(-2 * target)))
        step = _Solver(denoise, x, now, target)
        low, high = (
            (step.first_order(), step.second_order(1 / 2))
            if order == 2
            else (step.second_order(1 / 3), step.third_order())
        )
        allowed = torch.clamp(rtol * torch.maximum(low.abs(), lower.abs()), min=atol)
        error = float(torch.linalg.vector_norm((low - high) / allowed)) / math.sqrt(x.numel())
        if not math.isfinite(error) or after == now:
            raise DiffusionError(
                "The model's prediction is not finite, or no step is small enough for the tolerances.",
                input="model",
                code="not_finite",
                hint="Try --precision fp32, or larger tolerances.",
            )
        if control.accepts(error):
            x, lower = high, low
            x = add_noise(x, noise, math.exp(-now), math.exp(-after), up * s_noise)
            now = after
            report(min(total - 1, int(total * (now - start) / (end - start))), math.exp(-now), step.denoised)
    return x
