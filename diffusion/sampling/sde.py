"""SDE forms of DPM-Solver++ (Lu et al. 2022b, section 5): Brownian noise enters during each step.

`eta` scales the noise: 0 gives the ODE, 1 the reverse-time SDE of DDPM. Time is half-log-SNR, -ln sigma.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from diffusion.sampling.euler import add_noise, ancestral_step, euler_step
from diffusion.sampling.protocols import Denoise, Noise, Report


def dpmpp_sde(
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
    """Second-order single steps with the inner point a part `r` of the way; noise both on the way and at the end."""
    for i in range(len(sigmas) - 1):
        sigma, sigma_next = sigmas[i], sigmas[i + 1]
        denoised = denoise(x, sigma)
        if sigma_next > 0.0:
            middle = _between(sigma, sigma_next, r)
            down, up = ancestral_step(sigma, middle, eta)
            inner = euler_step(x, denoised, sigma, down)
            inner = add_noise(inner, noise, sigma, middle, up * s_noise)
            target = torch.lerp(denoised, denoise(inner, middle), 1 / (2 * r))
            down, up = ancestral_step(sigma, sigma_next, eta)
            x = euler_step(x, target, sigma, down)
            x = add_noise(x, noise, sigma, sigma_next, up * s_noise)
        else:
            x = denoised
        report(i, sigma, denoised)
    return x


def dpmpp_2m_sde(
    denoise: Denoise,
    x: Tensor,
    sigmas: Sequence[float],
    *,
    noise: Noise,
    report: Report,
    eta: float = 1.0,
    s_noise: float = 1.0,
    solver_type: Literal["midpoint", "heun"] = "midpoint",
) -> Tensor:
    """Second-order multistep; `solver_type` says how the slope of the clean latent is integrated over the step."""
    last: Tensor | None = None
    for i in range(len(sigmas) - 1):
        denoised = denoise(x, sigmas[i])
        if sigmas[i + 1] > 0.0:
            h = math.log(sigmas[i] / sigmas[i + 1])
            x_new = _first_order(x, denoised, h, eta)
            if last is not None:
                ratio = h / math.log(sigmas[i - 1] / sigmas[i])
                gone = -math.expm1(-h * (1 + eta))
                weight = gone / 2 if solver_type == "midpoint" else 1 - gone / (h * (1 + eta))
                x_new = torch.add(x_new, denoised - last, alpha=weight * ratio)
            x = _add_gathered(x_new, noise, sigmas[i], sigmas[i + 1], eta, s_noise)
        else:
            x = denoised
        last = denoised
        report(i, sigmas[i], denoised)
    return x


def dpmpp_3m_sde(
    denoise: Denoise,
    x: Tensor,
    sigmas: Sequence[float],
    *,
    noise: Noise,
    report: Report,
    eta: float = 1.0,
    s_noise: float = 1.0,
) -> Tensor:
    """Third-order multistep: divided differences of the last three clean latents, each weighted by its phi function."""
    history: list[tuple[Tensor, float]] = []
    for i in range(len(sigmas) - 1):
        denoised = denoise(x, sigmas[i])
        if sigmas[i + 1] > 0.0:
            h = math.log(sigmas[i] / sigmas[i + 1])
            h_eta = h * (1 + eta)
            x_new = _first_order(x, denoised, h, eta)
            phi_2 = math.expm1(-h_eta) / h_eta + 1
            if history:
                last, h_1 = history[-1]
                slope = (denoised - last) * (h / h_1)
                if len(history) > 1:
                    before, h_2 = history[-2]
                    bend = (slope - (last - before) * (h / h_2)) * (h / (h_1 + h_2))
                    slope = torch.add(slope, bend, alpha=h_1 / h)
                    x_new = torch.add(x_new, bend, alpha=0.5 - phi_2 / h_eta)
                x_new = torch.add(x_new, slope, alpha=phi_2)
            x = _add_gathered(x_new, noise, sigmas[i], sigmas[i + 1], eta, s_noise)
            history = [*history[-1:], (denoised, h)]
        else:
            x = denoised
        report(i, sigmas[i], denoised)
    return x


def _between(sigma: float, sigma_next: float, part: float) -> float:
    """The noise level a part of the way in half-log-SNR, in float32 as the schedules are: a Brownian path is looked up
    there, and is rough enough to tell the last digit."""
    start, end = torch.tensor((sigma, sigma_next)).log().neg()
    return float((start + part * (end - start)).neg().exp())


def _first_order(x: Tensor, denoised: Tensor, h: float, eta: float) -> Tensor:
    return torch.lerp(denoised, x, math.exp(-h * (1 + eta)))


def _add_gathered(x: Tensor, noise: Noise, sigma: float, sigma_next: float, eta: float, s_noise: float) -> Tensor:
    """Add what the SDE gathers in the step: noise of variance sigma'² (1 - (sigma'/sigma)^(2 eta))."""
    amount = sigma_next * math.sqrt(-math.expm1(-2 * eta * math.log(sigma / sigma_next))) * s_noise
    return add_noise(x, noise, sigma, sigma_next, amount)
