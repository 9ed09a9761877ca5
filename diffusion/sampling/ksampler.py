"""One sampling run, from the inputs of a KSampler node to the finished latent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffusion.sampling.protocols import Check, DenoiserModel, OnStep

if TYPE_CHECKING:
    from diffusion.values import Conditioning, Latent


def sample(
    model: DenoiserModel,
    *,
    latent: Latent,
    positive: Conditioning,
    negative: Conditioning,
    seed: int,
    steps: int,
    cfg: float,
    sampler: str,
    scheduler: str,
    denoise: float = 1.0,
    start_step: int | None = None,
    last_step: int | None = None,
    force_full_denoise: bool = False,
    add_noise: bool = True,
    on_step: OnStep | None = None,
    check: Check | None = None,
) -> Latent:
    """Sample a latent."""
    raise NotImplementedError
