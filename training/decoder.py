"""Polishes the autoencoder's decoder for longer, its encoder frozen, so the latents that diffusion learned stay true.

The latents get a little noise: what a sampler hands to the decoder is never quite what the encoder would have made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training.autoencoder import SCALE_FACTOR, Autoencoder, load_base_autoencoder, reconstruction_loss, to_tensor
from training.dataset import open_renders
from training.latents import open_latents
from training.parallel import latest_average, unflatten

_NOISE = 0.05


@dataclass(frozen=True)
class DecoderTask:
    """Trains decoder and `post_quant_conv` on the first `count` scenes of `seed`, whole pictures."""

    work_dir: Path
    seed: int
    count: int
    name: str = "decoder"
    rate: float = 6e-4
    warm_up: int = 100
    betas: tuple[float, float] = (0.9, 0.98)
    averaging: float = 0.998

    def build(self) -> Autoencoder:
        return freeze_encoder(load_base_autoencoder(self.work_dir)).train()

    def losses(self, module: Autoencoder, rank: int, step: int, share: int, where: torch.device) -> Callable[[], Any]:
        pictures = open_renders(self.work_dir, self.seed, self.count)
        latents = open_latents(self.work_dir, self.count)
        rng = np.random.default_rng((self.seed, step, rank))

        def next_loss() -> torch.Tensor:
            chosen = rng.integers(0, self.count, share)
            target = to_tensor(pictures[chosen]).to(where, memory_format=torch.channels_last)
            inputs = torch.from_numpy(latents[chosen].astype(np.float32)).to(where)
            noise = _NOISE * torch.rand(share, 1, 1, 1, device=where) * torch.randn_like(inputs)
            with torch.autocast(where.type, torch.bfloat16):
                output = module.decode((inputs + noise) / SCALE_FACTOR).sample
            return reconstruction_loss(output, target)

        return next_loss


def freeze_encoder(model: Autoencoder) -> Autoencoder:
    """Leave only what comes after the latent to learn."""
    for module in (model.encoder, model.quant_conv):
        module.requires_grad_(False)
    return model


def load_autoencoder(work_dir: Path) -> Autoencoder:
    """The autoencoder to ship: with the polished decoder where there is one."""
    model = load_base_autoencoder(work_dir)
    if state := latest_average(work_dir, "decoder"):
        unflatten(freeze_encoder(model), state["average"])
    return model.requires_grad_(False).eval()
