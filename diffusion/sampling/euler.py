"""Euler and Heun steps along the probability-flow ODE dx/dsigma = (x - D(x, sigma)) / sigma of Karras et al. 2022."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from diffusion.sampling.protocols import Denoise, GuidedDenoise, Noise, Report


def euler_step(x: Tensor, denoised: Tensor, sigma: float, sigma_next: float) -> Tensor:
    """One Euler step: x + (x - D) / sigma · (sigma' - sigma), which is D + (x - D) · sigma' / sigma."""
    return torch.lerp(denoised, x, sigma_next / sigma)


def ancestral_step(sigma: float, sigma_next: float, eta: float = 1.0) -> tuple[float, float]:
    """Split the step to `sigma_next` into a deterministic part, down to the first sigma returned, and fresh noise of
    the second: down² + up² = sigma_next². `eta` 1 is DDPM's posterior, 0 the ODE. A step that rises is all noise."""
    if sigma_next == 0.0 or eta == 0.0:
        return sigma_next, 0.0
    if sigma_next > sigma:
        return 0.0, sigma_next
    up = min(sigma_next, eta * math.sqrt(sigma_next**2 * (sigma**2 - sigma_next**2) / sigma**2))
    return math.sqrt(sigma_next**2 - up**2), up


def add_noise(x: Tensor, noise: Noise | None, sigma: float, sigma_next: float, amount: float) -> Tensor:
    """Add fresh noise of standard deviation `amount` for the step between two sigmas; none is drawn when it is 0."""
    if amount <= 0.0:
        return x
    if noise is None:
        raise ValueError("a sampler with eta above 0 needs a source of noise")
    return torch.add(x, noise(sigma, sigma_next), alpha=amount)


def euler(denoise: Denoise, x: Tensor, sigmas: Sequence[float], *, report: Report) -> Tensor:
    """Karras et al. 2022, algorithm 2 without churn and correction; the same as DDIM (Song et al. 2021)."""
    for i in range(len(sigmas) - 1):
        denoised = denoise(x, sigmas[i])
        x = euler_step(x, denoised, sigmas[i], sigmas[i + 1])
        report(i, sigmas[i], denoised)
    return x


def euler_ancestral(
    denoise: Denoise,
    x: Tensor,
    sigmas: Sequence[float],
    *,
    noise: Noise,
    report: Report,
    eta: float = 1.0,
    s_noise: float = 1.0,
) -> Tensor:
    """Euler steps that go further down and add fresh noise back, but none to a step that went down to 0."""
    for i in range(len(sigmas) - 1):
        denoised = denoise(x, sigmas[i])
        down, up = ancestral_step(sigmas[i], sigmas[i + 1], eta)
        x = euler_step(x, denoised, sigmas[i], down)
        if down > 0.0:
            x = add_noise(x, noise, sigmas[i], sigmas[i + 1], up * s_noise)
        report(i, sigmas[i], denoised)
    return x


def euler_cfg_pp(denoise: GuidedDenoise, x: Tensor, sigmas: Sequence[float], *, report: Report) -> Tensor:
    """CFG++ (Chung et al. 2024): from the guided clean latent, re-noised along the unconditional direction."""
    for i in range(len(sigmas) - 1):
        denoised, unconditional = denoise.with_unconditional(x, sigmas[i])
        x = torch.add(denoised, x - unconditional, alpha=sigmas[i + 1] / sigmas[i])
        report(i, sigmas[i], denoised)
    return x


def euler_pp(denoise: GuidedDenoise, x: Tensor, sigmas: Sequence[float], *, report: Report) -> Tensor:
    """Euler along x + unconditional − 2 · guided, each step from x itself: ComfyUI's alternative form of CFG++."""
    for i in range(len(sigmas) - 1):
        denoised, unconditional = denoise.with_unconditional(x, sigmas[i])
        slope = (x - denoised + unconditional - denoised) / sigmas[i]
        x = torch.add(x, slope, alpha=sigmas[i + 1] - sigmas[i])
        report(i, sigmas[i], denoised)
    return x


def euler_ancestral_cfg_pp(
    denoise: GuidedDenoise,
    x: Tensor,
    sigmas: Sequence[float],
    *,
    noise: Noise,
    report: Report,
    eta: float = 1.0,
    s_noise: float = 1.0,
) -> Tensor:
    """`euler_cfg_pp` with fresh noise in each step."""
    for i in range(len(sigmas) - 1):
        denoised, unconditional = denoise.with_unconditional(x, sigmas[i])
        down, up = ancestral_step(sigmas[i], sigmas[i + 1], eta)
        x = torch.add(denoised, x - unconditional, alpha=down / sigmas[i])
        x = add_noise(x, noise, sigmas[i], sigmas[i + 1], up * s_noise)
        report(i, sigmas[i], denoised)
    return x


def heun(denoise: Denoise, x: Tensor, sigmas: Sequence[float], *, report: Report) -> Tensor:
    """Karras et al. 2022, algorithm 2 without churn: the mean of the slopes at both ends; Euler to zero."""
    for i in range(len(sigmas) - 1):
        sigma, sigma_next = sigmas[i], sigmas[i + 1]
        denoised = denoise(x, sigma)
        ahead = euler_step(x, denoised, sigma, sigma_next)
        if sigma_next > 0.0:
            slope = (x - denoised) / sigma + (ahead - denoise(ahead, sigma_next)) / sigma_next
            x = torch.add(x, slope, alpha=(sigma_next - sigma) / 2)
        else:
            x = ahead
        report(i, sigma, denoised)
    return x


def heunpp2(denoise: Denoise, x: Tensor, sigmas: Sequence[float], *, report: Report) -> Tensor:
    """Heun++ (Chen et al. 2024): slopes at this level and up to two levels ahead, each later one weighted by its
    sigma over the number of slopes times the first sigma of the run. Two slopes in the last step but one, and one in
    the last."""
    last = len(sigmas) - 1
    for i in range(last):
        sigma = sigmas[i]
        denoised = denoise(x, sigma)
        first = (x - denoised) / sigma
        slope, ahead, direction = first, x, first
        count = min(3, last - i)
        for k in range(1, count):
            ahead = torch.add(ahead, direction, alpha=sigmas[i + k] - sigmas[i + k - 1])
            direction = (ahead - denoise(ahead, sigmas[i + k])) / sigmas[i + k]
            weight = sigmas[i + k] / (count * sigmas[0])
            slope = slope + weight * (direction - first)
        x = torch.add(x, slope, alpha=sigmas[i + 1] - sigma)
        report(i, sigma, denoised)
    return x
