"""Reduced-width Stable Diffusion 1 checkpoints with random weights, in the original single-file layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from safetensors.torch import save_file
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel

from diffusion.architecture import ClipConfig, UnetConfig, VaeConfig
from diffusion.keys import clip_names, unet_names, vae_names

UNET = UnetConfig(
    in_channels=4,
    out_channels=4,
    channels=(32, 64),
    layers_per_level=1,
    down_depths=((1,), (0,)),
    up_depths=((0, 0), (1, 1)),
    middle_depth=1,
    context_dim=64,
    heads=(8, 8),
)
VAE = VaeConfig(in_channels=3, latent_channels=4, channels=(32, 32, 64, 64), layers_per_level=1)
CLIP = ClipConfig(vocabulary=49408, positions=77, width=64, layers=2, heads=1, feed_forward=128)


def unet_module() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        block_out_channels=(32, 64),
        layers_per_block=1,
        cross_attention_dim=64,
        attention_head_dim=8,
    ).eval()


def vae_module() -> AutoencoderKL:
    shape: dict[str, Any] = {
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
        "block_out_channels": (32, 32, 64, 64),
    }
    return AutoencoderKL(**shape, layers_per_block=1).eval()


def clip_module() -> CLIPTextModel:
    return CLIPTextModel(
        CLIPTextConfig(
            hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=1, projection_dim=64
        )
    ).eval()


def tensors(seed: int = 0) -> dict[str, Tensor]:
    """The tensors of a whole checkpoint, under their names in the file."""
    torch.manual_seed(seed)
    found: dict[str, Tensor] = {}
    unet, vae = unet_names(UNET), vae_names(VAE)
    found |= {unet(name): value for name, value in unet_module().state_dict().items()}
    for name, value in vae_module().state_dict().items():
        is_linear = ".mid_block.attentions.0." in name and value.ndim == 2
        found[vae(name)] = value[:, :, None, None] if is_linear else value
    found |= {clip_names(CLIP)(name): value for name, value in clip_module().state_dict().items()}
    return {name: value.contiguous().clone() for name, value in found.items()}


def write(path: Path, *, seed: int = 0, drop: str | None = None, metadata: dict[str, str] | None = None) -> Path:
    """Write such a checkpoint; `drop` leaves out the tensors that start with it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = {name: value for name, value in tensors(seed).items() if drop is None or not name.startswith(drop)}
    save_file(kept, path, metadata=metadata or {"format": "pt"})
    return path
