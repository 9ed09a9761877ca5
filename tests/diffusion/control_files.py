"""Reduced control networks with random weights, in both layouts."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers.models.controlnets.controlnet import ControlNetModel
from safetensors.torch import save_file
from torch import Tensor

from diffusion.control.architecture import ControlConfig, control_names

CONFIG = ControlConfig(
    in_channels=4,
    channels=(32, 64),
    layers_per_level=1,
    depths=(1, 0),
    middle_depth=1,
    context_dim=64,
    heads=(8, 8),
    linear_projection=False,
    hint_channels=3,
    hint=(8, 8, 16, 16),
    vector=0,
    root="control_model.",
    layout="original",
)


def module(context: int = 64) -> ControlNetModel:
    """Random weights everywhere, also where a network begins its training at zero."""
    torch.manual_seed(11)
    made = ControlNetModel(
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        block_out_channels=(32, 64),
        layers_per_block=1,
        cross_attention_dim=context,
        attention_head_dim=8,
        conditioning_embedding_out_channels=(8, 8, 16, 16),
    ).eval()
    with torch.no_grad():
        for name, value in made.named_parameters():
            if name.startswith(
                ("controlnet_down_blocks", "controlnet_mid_block", "controlnet_cond_embedding.conv_out")
            ):
                value.copy_(torch.randn(value.shape) * 0.1)
    return made


def tensors(layout: str, context: int = 64) -> dict[str, Tensor]:
    """The tensors of a file: `original` with a root, `bare` without, or `diffusers`."""
    state = module(context).state_dict()
    if layout == "diffusers":
        return dict(state)
    place = control_names(CONFIG)
    root = "" if layout == "bare" else CONFIG.root
    return {root + place(name).removeprefix(CONFIG.root): value for name, value in state.items()}


def write(models: Path, name: str, layout: str = "original", context: int = 64) -> str:
    path = models / "controlnet" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({key: value.contiguous().clone() for key, value in tensors(layout, context).items()}, path)
    return name
