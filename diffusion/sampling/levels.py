"""Noise levels given directly: schedules that need no model, tables, and what can be done with any list of levels."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import pairwise

import torch
from torch import Tensor

from diffusion.errors import DiffusionError
from diffusion.sampling.discrete import DiscreteSchedule

ALIGN_YOUR_STEPS: dict[str, tuple[float, ...]] = {
    "SD1": (
        14.6146412293, 6.4745760956, 3.8636745985, 2.6946151520, 1.8841921177, 1.3943805092, 0.9642583904,
        0.6523686016, 0.3977456272, 0.1515232662, 0.0291671582,
    ),
    "SDXL": (
        14.6146412293, 6.3184485287, 3.7681790315, 2.1811480769, 1.3405244945, 0.8620721141, 0.5550693289,
        0.3798540708, 0.2332364134, 0.1114188177, 0.0291671582,
    ),
    "SVD": (700.00, 54.5, 15.886, 7.977, 4.248, 1.789, 0.981, 0.403, 0.173, 0.034, 0.002),
}  # fmt: skip
"""The ten-step schedules that Sabour et al. 2024 (Align Your Steps) publish for each family."""

_NOT_ZERO = 1e-5
"""Keeps the logarithm of the outermost quantiles finite."""

_SPACINGS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "linear": lambda part: part,
    "cosine": lambda part: (part * (math.pi / 2)).sin(),
    "sine": lambda part: 1 - (part * (math.pi / 2)).cos(),
}


def polyexponential(steps: int, sigma_min: float, sigma_max: float, rho: float = 1.0) -> Tensor:
    """Steps in log sigma spaced by a power: sigma_min · (sigma_max / sigma_min)^(u^rho), u from 1 to 0; then 0."""
    _check_ends(sigma_min, sigma_max)
    ramp = torch.linspace(1, 0, steps) ** rho
    return to_zero((ramp * (math.log(sigma_max) - math.log(sigma_min)) + math.log(sigma_min)).exp())


def variance_preserving(steps: int, beta_d: float, beta_min: float, eps_s: float) -> Tensor:
    """Even times from 1 to `eps_s` of the variance-preserving SDE (Song et al. 2021; Karras et al. 2022, table 1), then
    0."""
    time = torch.linspace(1, eps_s, steps)
    return to_zero((beta_d * time**2 / 2 + beta_min * time).expm1().sqrt())


def laplace(steps: int, sigma_min: float, sigma_max: float, mu: float = 0.0, beta: float = 0.5) -> Tensor:
    """Even quantiles of a Laplace distribution of log sigma with the mean `mu` and the scale `beta`, from the top (Hang
    et al. 2024), kept between the ends. As in ComfyUI no 0 follows: the last step ends at the lowest level."""
    place = torch.linspace(0, 1, steps)
    tail = (1 - 2 * (0.5 - place).abs() + _NOT_ZERO).log()
    return (mu - beta * torch.sign(0.5 - place) * tail).exp().clamp(sigma_min, sigma_max)


def turbo(levels: DiscreteSchedule, steps: int, denoise: float) -> Tensor:
    """Steps of a hundred timesteps from 999 down, as the one- to ten-step distillations were trained; `denoise` leaves
    out the first."""
    start = 10 - int(10 * denoise)
    timesteps = (torch.arange(10, 0, -1) * 100 - 1)[start : start + steps]
    return to_zero(levels.sigma(timesteps))


def align_your_steps(family: str, steps: int, denoise: float = 1.0) -> Tensor:
    """The published schedule, at other than ten steps interpolated in log sigma; below a denoise of 1, its last
    round(steps · denoise) steps. The last level is 0."""
    levels = torch.tensor(ALIGN_YOUR_STEPS[family], dtype=torch.float64)
    return last_steps(in_log_sigma(levels, steps), steps, denoise)


def in_log_sigma(levels: Tensor, steps: int) -> Tensor:
    """Positive levels, float64, for another number of steps: interpolated evenly in log sigma where it differs."""
    if steps + 1 == len(levels):
        return levels
    place = torch.linspace(0, len(levels) - 1, steps + 1, dtype=torch.float64)
    below = place.floor().long().clamp(max=len(levels) - 2)
    return torch.lerp(levels.log()[below], levels.log()[below + 1], place - below).exp()


def last_steps(levels: Tensor, steps: int, denoise: float) -> Tensor:
    """The levels of the last round(steps · denoise) of the steps, with 0 in the place of the last; float32, and empty
    where denoise is 0."""
    if denoise <= 0.0:
        return torch.empty(0)
    kept = round(steps * denoise) if denoise < 1.0 else steps
    levels = levels[-(kept + 1) :].clone()
    levels[-1] = 0.0
    return levels.float()


def split_at(sigmas: Tensor, step: int) -> tuple[Tensor, Tensor]:
    """The levels up to a step and from it on; the level between belongs to both."""
    return sigmas[: step + 1], sigmas[step:]


def split_at_denoise(sigmas: Tensor, denoise: float) -> tuple[Tensor, Tensor]:
    """The same, with the second part as `denoise` of the steps; where that is none, the first part is empty."""
    if len(sigmas) == 0:
        return sigmas, sigmas
    last = round(max(len(sigmas) - 1, 0) * denoise)
    if last == 0:
        return sigmas[:0], sigmas[-1:]
    return split_at(sigmas, len(sigmas) - 1 - last)


def flipped(sigmas: Tensor) -> Tensor:
    """The levels from last to first, to walk from a picture to its noise. A zero becomes 0.0001, from where the model
    can still tell a direction."""
    turned = sigmas.flip(0)
    if len(turned) and turned[0] == 0.0:
        turned[0] = 0.0001
    return turned


def with_first(sigmas: Tensor, sigma: float) -> Tensor:
    """The same levels with another at the start."""
    changed = sigmas.clone()
    changed[:1] = sigma
    return changed


def extended(sigmas: Tensor, steps: int, highest: float, lowest: float, spacing: str) -> Tensor:
    """Each step that begins between two levels, both inclusive, divided into so many. `spacing` crowds the levels in
    between to the step's end (`cosine`), to its start (`sine`), or not at all (`linear`)."""
    parts = _SPACINGS[spacing](torch.linspace(0, 1, steps + 1)[1:-1])
    found: list[Tensor] = []
    for begin, end in pairwise(sigmas):
        found.append(begin[None])
        if lowest <= float(begin) <= highest:
            found.append(parts * (end - begin) + begin)
    return torch.cat([*found, sigmas[-1:]])


def to_zero(sigmas: Tensor) -> Tensor:
    """Levels with a 0 behind them."""
    return torch.cat([sigmas.float(), torch.zeros(1)])


def _check_ends(sigma_min: float, sigma_max: float) -> None:
    for name, value in (("sigma_min", sigma_min), ("sigma_max", sigma_max)):
        if not 0.0 < value < math.inf:
            raise DiffusionError(f"{name} must be above 0, not {value}.", input=name, code="bad_sigmas")
