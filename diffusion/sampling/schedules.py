"""Schedules: which noise levels a run of n steps visits.

Each function takes the model's levels and the number of steps and returns falling float32 sigmas on the CPU that end
with 0. Most give `steps + 1` of them; `ddim_uniform` walks the timesteps with a whole stride and may give some more,
`beta` drops levels that fall on the same timestep.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from diffusion.errors import DiffusionError
from diffusion.sampling.discrete import DiscreteSchedule
from diffusion.sampling.names import check_schedule

Schedule = Callable[[DiscreteSchedule, int], Tensor]


def schedule(levels: DiscreteSchedule, name: str, steps: int) -> Tensor:
    """The sigmas of the schedule called `name`. Raises `DiffusionError` for an unknown name or fewer than 1 step."""
    check_schedule(name)
    if steps < 1:
        raise DiffusionError(f"The number of steps must be at least 1, not {steps}.", input="steps", code="bad_steps")
    return SCHEDULE_TABLE[name](levels, steps)


def normal(levels: DiscreteSchedule, steps: int) -> Tensor:
    """Evenly spaced timesteps, both ends included."""
    return _to_zero(levels.sigma(torch.linspace(*_ends(levels), steps)))


def sgm_uniform(levels: DiscreteSchedule, steps: int) -> Tensor:
    """Evenly spaced timesteps without the last."""
    return _to_zero(levels.sigma(torch.linspace(*_ends(levels), steps + 1)[:-1]))


def simple(levels: DiscreteSchedule, steps: int) -> Tensor:
    """The model's own levels, picked evenly from the noisy end."""
    stride = len(levels) / steps
    return _to_zero(levels.sigmas[[-(1 + int(i * stride)) for i in range(steps)]])


def ddim_uniform(levels: DiscreteSchedule, steps: int) -> Tensor:
    """Every k-th timestep from timestep 1 on, k = ⌊levels / steps⌋ (Song et al. 2021)."""
    stride = max(len(levels) // steps, 1)
    return _to_zero(levels.sigmas[1::stride].flip(0))


def karras(levels: DiscreteSchedule, steps: int, rho: float = 7.0) -> Tensor:
    """Karras et al. 2022, equation 5."""
    return karras_between(steps, levels.sigma_min, levels.sigma_max, rho)


def karras_between(steps: int, sigma_min: float, sigma_max: float, rho: float = 7.0) -> Tensor:
    """Even steps in sigma^(1/rho) from `sigma_max` to `sigma_min`, then 0."""
    first, last = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    return _to_zero((first + torch.linspace(0, 1, steps) * (last - first)) ** rho)


def exponential(levels: DiscreteSchedule, steps: int) -> Tensor:
    """Even steps in log sigma."""
    return exponential_between(steps, levels.sigma_min, levels.sigma_max)


def exponential_between(steps: int, sigma_min: float, sigma_max: float) -> Tensor:
    """Even steps in log sigma from `sigma_max` to `sigma_min`, then 0."""
    return _to_zero(torch.linspace(math.log(sigma_max), math.log(sigma_min), steps).exp())


def beta(levels: DiscreteSchedule, steps: int, alpha: float = 0.6, beta: float = 0.6) -> Tensor:
    """Timesteps at even quantiles of a beta distribution, which crowds both ends (Lee et al. 2024)."""
    from scipy.special import betaincinv

    quantiles = 1.0 - torch.arange(steps, dtype=torch.float64).numpy() / steps
    timesteps = torch.from_numpy(betaincinv(alpha, beta, quantiles) * (len(levels) - 1)).round().long()
    return _to_zero(levels.sigmas[torch.unique_consecutive(timesteps)])


def linear_quadratic(levels: DiscreteSchedule, steps: int, threshold: float = 0.025) -> Tensor:
    """Small even steps for the first half, which cover `threshold` of the way, then a quadratic to the end that
    continues their slope (Polyak et al. 2024, Movie Gen)."""
    if steps == 1:
        return torch.tensor([levels.sigma_max, 0.0])
    even = steps // 2
    rest = steps - even
    slope = threshold / even
    bend = (1.0 - slope * steps) / rest**2
    way = [slope * i for i in range(even)] + [threshold + slope * i + bend * i * i for i in range(rest)] + [1.0]
    return (1.0 - torch.tensor(way, dtype=torch.float64)).float() * levels.sigma_max


def kl_optimal(levels: DiscreteSchedule, steps: int) -> Tensor:
    """Even steps in arctan sigma (Sabour et al. 2024, Align Your Steps, theorem 3.1); one step starts at the top."""
    way = torch.arange(steps) / max(steps - 1, 1)
    return _to_zero((way * math.atan(levels.sigma_min) + (1 - way) * math.atan(levels.sigma_max)).tan())


def _ends(levels: DiscreteSchedule) -> tuple[float, float]:
    return float(levels.timestep(levels.sigma_max)), float(levels.timestep(levels.sigma_min))


def _to_zero(sigmas: Tensor) -> Tensor:
    return torch.cat([sigmas.float(), torch.zeros(1)])


SCHEDULE_TABLE: dict[str, Schedule] = {
    "simple": simple,
    "sgm_uniform": sgm_uniform,
    "karras": karras,
    "exponential": exponential,
    "ddim_uniform": ddim_uniform,
    "beta": beta,
    "normal": normal,
    "linear_quadratic": linear_quadratic,
    "kl_optimal": kl_optimal,
}
