"""Perp-Neg (Armandpour et al. 2023, "Re-imagine the Negative Prompt Algorithm", equation 8)."""

from __future__ import annotations

import torch
from torch import Tensor


def perpendicular(positive: Tensor, negative: Tensor, empty: Tensor, cfg: float, neg_scale: float) -> Tensor:
    """Guidance in which both prompts are seen from the empty one, and of the negative only the part perpendicular to
    the positive counts. All are clean latents `[B,C,h,w]`; the projection is over the whole batch, as in ComfyUI."""
    towards, away = positive - empty, negative - empty
    length = (towards * towards).sum()
    along = (away * towards).sum() / torch.where(length > 0.0, length, 1.0)
    step = towards - (away - towards * along) * neg_scale
    return torch.add(empty, step, alpha=cfg)
