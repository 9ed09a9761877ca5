"""The schedules of GITS, which follow how trajectories of Stable Diffusion 1 bend.

Chen et al. 2024 (On the Trajectory Regularity of ODE-based Diffusion Models) search, by dynamic programming over a grid
of 101 even times, for the times at which n steps stray least. `gits_times.json` holds what they found: for each
coefficient of the search the inner times of 2, 3, … 20 steps, in hundredths; the first is always 100 and the last 0.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor

from diffusion.errors import DiffusionError
from diffusion.sampling.discrete import DiscreteSchedule
from diffusion.sampling.levels import in_log_sigma, last_steps

TIMES = Path(__file__).with_name("gits_times.json")
_LAST_TIMESTEP = 999


def gits(coefficient: float, steps: int, denoise: float = 1.0) -> Tensor:
    """The published schedule for `coefficient`, 0.8 to 1.5 by 0.05; beyond 20 steps that of 20, interpolated in log
    sigma. Below a `denoise` of 1, its last round(steps · denoise) steps. The last level is 0.

    Raises DiffusionError for a coefficient without a schedule, and for fewer than 2 steps.
    """
    rows = json.loads(TIMES.read_text("ascii")).get(f"{coefficient:.2f}")
    if rows is None:
        raise DiffusionError(
            f"GITS has no schedule for the coefficient {coefficient:g}.",
            hint="Use 0.8 to 1.5, in steps of 0.05.",
            input="coeff",
            code="bad_sigmas",
        )
    if steps < 2:
        raise DiffusionError(f"GITS takes at least 2 steps, not {steps}.", input="steps", code="bad_steps")
    times = torch.tensor([100, *rows[min(steps - 2, len(rows) - 1)], 0])
    return last_steps(in_log_sigma(_sigmas(times), steps), steps, denoise)


def _sigmas(hundredths: Tensor) -> Tensor:
    """Stable Diffusion 1's noise levels at times in hundredths of its 1,000 steps, interpolated in log alpha."""
    log_alphas = -0.5 * DiscreteSchedule.scaled_linear().sigmas.double().square().log1p()
    place = hundredths.double() * (_LAST_TIMESTEP / 100)
    below = place.floor().long().clamp(max=_LAST_TIMESTEP - 1)
    return (-2 * torch.lerp(log_alphas[below], log_alphas[below + 1], place - below)).expm1().sqrt()
