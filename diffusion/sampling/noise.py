"""Where the noise of a run comes from. The first noise is drawn on the CPU, so a seed gives one picture everywhere."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from diffusion.sampling.brownian import BrownianPath
from diffusion.sampling.protocols import Noise


def drawn_noise(generator: torch.Generator, shape: Sequence[int], batch_index: Sequence[int] | None = None) -> Tensor:
    """Standard normal float32 noise `[B,C,h,w]` on the CPU, from a generator on the CPU, whose state advances.

    With `batch_index`, item i is the draw of that number, as it would be in a batch that starts at 0, so that one
    picture of a batch can be made again by itself.
    """
    if batch_index is None:
        return torch.randn(tuple(shape), generator=generator)
    draws = [torch.randn((1, *shape[1:]), generator=generator) for _ in range(max(batch_index) + 1)]
    return torch.cat([draws[index] for index in batch_index])


def generator_noise(x: Tensor, seed: int) -> Noise:
    """Independent draws in the shape of `x` from one generator on its device."""
    generator = torch.Generator(x.device).manual_seed(seed)

    def draw(_sigma: float, _sigma_next: float) -> Tensor:
        return torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)

    return draw


def generator_after(shape: Sequence[int], seed: int) -> torch.Generator:
    """A CPU generator that goes on where the first noise of a run in this shape left off."""
    generator = torch.Generator("cpu").manual_seed(seed)
    drawn_noise(generator, shape)
    return generator


def any_size_noise(generator: torch.Generator) -> Callable[[Tensor], Tensor]:
    """Draws in the shape of whatever it is given."""
    return lambda like: torch.randn(like.shape, generator=generator).to(like.device, like.dtype)


def brownian_noise(x: Tensor, sigmas: Sequence[float], seed: int, *, on_device: bool = False) -> Noise:
    """Increments of one Brownian path over sigma, divided by the root of the distance.

    Steps over the same stretch of sigma see the same path however they divide it, so that runs with more steps of one
    seed converge to one picture. The path is drawn on the CPU, or on the device of `x` with `on_device`.
    """
    device = x.device if on_device else torch.device("cpu")
    low, high = min(sigma for sigma in sigmas if sigma > 0.0), max(sigmas)
    path = BrownianPath(low, high, x.shape, seed, device)

    def increment(sigma: float, sigma_next: float) -> Tensor:
        return path.increment(sigma, sigma_next).div_(math.sqrt(abs(sigma_next - sigma))).to(x.device)

    return increment
