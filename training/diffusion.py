"""The diffusion task: U-Net and text transformer learn together, on cached latents.

Loss: ε-prediction, weighted by min-SNR with γ = 5 (Hang et al. 2023), timesteps stratified over each batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import CLIPTextModel

from training.latents import open_captions, open_latents
from training.model import build_text, build_unet, compact_ids, training_vocabulary
from training.parallel import latest_average, unflatten
from training.tokenizer import token_ids

TIMESTEPS = 1000
_DROPPED = 0.1
_GAMMA = 5.0


class Networks(nn.Module):
    """The two networks that learn together."""

    def __init__(self) -> None:
        super().__init__()
        self.unet: UNet2DConditionModel = build_unet()
        self.text: CLIPTextModel = build_text(training_vocabulary())


@dataclass(frozen=True)
class DiffusionTask:
    """Trains on the first `count` scenes of `seed`."""

    work_dir: Path
    seed: int
    count: int
    compiled: bool = False
    name: str = "diffusion"
    rate: float = 1e-3
    warm_up: int = 200
    betas: tuple[float, float] = (0.9, 0.99)
    averaging: float = 0.999

    def build(self) -> Networks:
        return Networks()

    def losses(self, module: Networks, rank: int, step: int, share: int, where: torch.device) -> Callable[[], Any]:
        latents = open_latents(self.work_dir, self.count)
        captions = open_captions(self.work_dir, self.seed, self.count)
        batches = _batches(latents, captions, share, (self.seed, step, rank))
        alphas = alphas_cumprod().to(where)
        snr = alphas / (1 - alphas)
        weights = snr.clamp(max=_GAMMA) / snr
        unet: Any = torch.compile(module.unet, dynamic=False) if self.compiled else module.unet

        def next_loss() -> torch.Tensor:
            clean, ids = next(batches)
            return _loss(module.text, unet, clean.to(where), ids.to(where), alphas, weights)

        return next_loss


def alphas_cumprod() -> torch.Tensor:
    """ᾱ for the scaled-linear β schedule of SD v1, float32 [1000]."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, TIMESTEPS, dtype=torch.float64) ** 2
    return torch.cumprod(1 - betas, 0).float()


def _batches(
    latents: npt.NDArray[np.float16], captions: npt.NDArray[np.uint16], size: int, seed: tuple[int, ...]
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Latents [size, 4, 16, 16] with training-table ids [size, 77], a tenth of the captions dropped; for ever."""
    rng = np.random.default_rng(seed)
    empty = compact_ids()[token_ids("")].astype(np.int64)
    while True:
        order = rng.permutation(len(latents))
        for start in range(0, len(order) - size + 1, size):
            chosen = order[start : start + size]
            ids = captions[rng.integers(0, len(captions), size), chosen].astype(np.int64)
            ids[rng.random(size) < _DROPPED] = empty
            yield torch.from_numpy(latents[chosen].astype(np.float32)), torch.from_numpy(ids)


def _loss(
    text: CLIPTextModel,
    unet: Any,
    clean: torch.Tensor,
    ids: torch.Tensor,
    alphas: torch.Tensor,
    weights: torch.Tensor,
) -> torch.Tensor:
    count = len(clean)
    spread = (torch.randperm(count) + torch.rand(count)) / count
    timesteps = (spread * TIMESTEPS).long().clamp(max=TIMESTEPS - 1).to(clean.device)
    alpha = alphas[timesteps][:, None, None, None]
    noise = torch.randn_like(clean)
    noisy = alpha.sqrt() * clean + (1 - alpha).sqrt() * noise
    with sdpa_kernel(SDPBackend.MATH), torch.autocast(clean.device.type, torch.bfloat16):
        context = text(ids, return_dict=False)[0]
        predicted = unet(noisy, timesteps, context, return_dict=False)[0]
    error = (predicted.float() - noise).square().mean(dim=(1, 2, 3))
    return (weights[timesteps] * error).mean()


def load_networks(work_dir: Path) -> tuple[Networks, dict[str, float]]:
    """The averaged weights to ship, and how long they trained: steps, samples and seconds."""
    state = latest_average(work_dir, "diffusion")
    if state is None:
        raise FileNotFoundError(f"no diffusion state in {work_dir}: run `python -m training diffusion` first")
    networks = Networks()
    unflatten(networks, state["average"])
    return networks.eval(), {key: state[key] for key in ("step", "samples", "seconds")}
