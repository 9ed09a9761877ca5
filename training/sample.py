"""Draws pictures from weights in training, to watch them learn; the project's own sampler serves the shipped file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler
from PIL import Image

from training.autoencoder import SCALE_FACTOR, Autoencoder
from training.diffusion import TIMESTEPS, Networks
from training.model import compact_ids
from training.tokenizer import token_ids


@torch.inference_mode()
def draw(
    networks: Networks,
    vae: Autoencoder,
    captions: Sequence[str],
    seed: int,
    steps: int = 20,
    guidance: float = 5.0,
    batch_size: int = 20,
) -> list[Image.Image]:
    """One 128×128 picture a caption: dpmpp_2m on karras sigmas, classifier-free guidance against the empty caption."""
    pictures: list[Image.Image] = []
    for start in range(0, len(captions), batch_size):
        part = captions[start : start + batch_size]
        rows = np.array([compact_ids()[token_ids(text)] for text in (*part, *("" for _ in part))], np.int64)
        context = networks.text(torch.from_numpy(rows), return_dict=False)[0]
        scheduler = DPMSolverMultistepScheduler(
            num_train_timesteps=TIMESTEPS,
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            use_karras_sigmas=True,
        )
        scheduler.set_timesteps(steps)
        latents = torch.randn(len(part), 4, 16, 16, generator=torch.Generator().manual_seed(seed + start))
        for timestep in scheduler.timesteps:
            with torch.autocast("cpu", torch.bfloat16):
                predicted = networks.unet(torch.cat([latents] * 2), timestep, context, return_dict=False)[0].float()
            asked, empty = predicted.chunk(2)
            latents = scheduler.step(empty + guidance * (asked - empty), timestep, latents, return_dict=False)[0]
        pictures += to_pictures(vae.decode(latents / SCALE_FACTOR).sample)
    return pictures


def to_pictures(batch: torch.Tensor) -> list[Image.Image]:
    """[n, 3, h, w] in −1…1 to pictures."""
    pixels = ((batch.float().clamp(-1, 1) + 1) * 127.5).round().permute(0, 2, 3, 1).byte().cpu().numpy()
    return [Image.fromarray(array) for array in pixels]


def contact_sheet(pictures: Sequence[Image.Image], columns: int = 8) -> Image.Image:
    """The pictures in rows, two pixels apart."""
    width, height = pictures[0].size
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * (width + 2) - 2, rows * (height + 2) - 2))
    for number, picture in enumerate(pictures):
        sheet.paste(picture, (number % columns * (width + 2), number // columns * (height + 2)))
    return sheet
