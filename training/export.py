"""Writes the single file: the three networks in the original LDM layout, float16, with its .yaml beside it.

The architecture, the latent preview and the training record also go into the safetensors metadata, as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import save_file

from diffusion.keys import NameMap, diffusers_unet_names, diffusers_vae_names
from training.autoencoder import SCALE_FACTOR, Autoencoder
from training.model import expand_tokens
from training.tokenizer import LENGTH, VOCABULARY_SIZE

State = dict[str, torch.Tensor]

UNET_PREFIX = "model.diffusion_model."
VAE_PREFIX = "first_stage_model."
TEXT_PREFIX = "cond_stage_model.transformer.text_model."


def single_file_state(unet: Any, vae: Autoencoder, text: Any) -> State:
    """All weights under their LDM names, float16; the token table is widened to the whole vocabulary."""
    levels = attention_levels(unet)
    unet_names = diffusers_unet_names(len(levels), unet.config.layers_per_block, levels[::-1])
    vae_names = diffusers_vae_names(len(vae.config.block_out_channels), vae.config.layers_per_block)
    state = renamed(unet, UNET_PREFIX, unet_names) | renamed(vae, VAE_PREFIX, vae_names)
    for key, value in text.state_dict().items():
        name = key.removeprefix("text_model.")
        if name == "embeddings.token_embedding.weight" and len(value) != VOCABULARY_SIZE:
            value = expand_tokens(value)
        if name != "embeddings.position_ids":
            state[TEXT_PREFIX + name] = value
    state = {k: v.detach().cpu().to(torch.float16).contiguous() for k, v in state.items()}
    state[TEXT_PREFIX + "embeddings.position_ids"] = torch.arange(LENGTH)[None]
    return state


def renamed(module: torch.nn.Module, prefix: str, names: NameMap) -> State:
    """A network's weights under their LDM names. The autoencoder's attention is linear in diffusers, and made of
    convolutions of one pixel in LDM. Raises KeyError for a weight that has no place."""
    state = {prefix + names(name): weight for name, weight in module.state_dict().items()}
    return {k: v[:, :, None, None] if ".attn_1." in k and v.ndim == 2 else v for k, v in state.items()}


def attention_levels(unet: Any) -> list[bool]:
    """Whether each level of the U-Net attends, finest first."""
    return ["CrossAttn" in kind for kind in unet.config.down_block_types]


def ldm_config(unet: Any, vae: Autoencoder, text: Any) -> dict[str, Any]:
    """The model's config as CompVis's files put it, with the head counts and norm groups that shapes do not show."""
    width = unet.config.block_out_channels
    vae_width = vae.config.block_out_channels
    unet_params = {
        "image_size": 16,
        "in_channels": 4,
        "out_channels": 4,
        "model_channels": width[0],
        "attention_resolutions": [2**level for level in reversed(range(len(width))) if attention_levels(unet)[level]],
        "num_res_blocks": unet.config.layers_per_block,
        "channel_mult": [w // width[0] for w in width],
        "num_heads": unet.config.attention_head_dim,
        "use_spatial_transformer": True,
        "transformer_depth": 1,
        "context_dim": unet.config.cross_attention_dim,
        "norm_num_groups": unet.config.norm_num_groups,
        "use_checkpoint": False,
        "legacy": False,
    }
    ddconfig = {
        "double_z": True,
        "z_channels": 4,
        "resolution": 128,
        "in_channels": 3,
        "out_ch": 3,
        "ch": vae_width[0],
        "ch_mult": [w // vae_width[0] for w in vae_width],
        "num_res_blocks": vae.config.layers_per_block,
        "attn_resolutions": [],
        "dropout": 0.0,
        "norm_num_groups": vae.config.norm_num_groups,
    }
    clip_params = {
        "max_length": LENGTH,
        "width": text.config.hidden_size,
        "layers": text.config.num_hidden_layers,
        "heads": text.config.num_attention_heads,
        "hidden_act": text.config.hidden_act,
    }
    params = {
        "linear_start": 0.00085,
        "linear_end": 0.0120,
        "timesteps": 1000,
        "parameterization": "eps",
        "first_stage_key": "jpg",
        "cond_stage_key": "txt",
        "image_size": 16,
        "channels": 4,
        "conditioning_key": "crossattn",
        "scale_factor": SCALE_FACTOR,
        "use_ema": False,
        "unet_config": {"target": "ldm.modules.diffusionmodules.openaimodel.UNetModel", "params": unet_params},
        "first_stage_config": {
            "target": "ldm.models.autoencoder.AutoencoderKL",
            "params": {"embed_dim": 4, "ddconfig": ddconfig},
        },
        "cond_stage_config": {
            "target": "ldm.modules.encoders.modules.FrozenCLIPEmbedder",
            "params": clip_params,
        },
    }
    return {"model": {"target": "ldm.models.diffusion.ddpm.LatentDiffusion", "params": params}}


def write_checkpoint(
    path: Path,
    unet: Any,
    vae: Autoencoder,
    text: Any,
    latent_rgb: Mapping[str, Any],
    record: Mapping[str, Any],
) -> None:
    """Write `path` (.safetensors) and its .yaml, each atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    config = ldm_config(unet, vae, text)
    metadata = {
        "format": "pt",
        "title": "storybook-tiny",
        "license": "Apache-2.0",
        "architecture": json.dumps(config["model"]["params"]),
        "latent_rgb": json.dumps(latent_rgb),
        "training": json.dumps(record),
    }
    partial = path.with_suffix(".partial")
    save_file(single_file_state(unet, vae, text), partial, metadata)
    partial.chmod(0o644)
    partial.replace(path)
    header = "# The architecture of the checkpoint beside it, in the format of CompVis's latent-diffusion configs.\n"
    path.with_suffix(".yaml").write_text(header + yaml.safe_dump(config, sort_keys=False))


@torch.no_grad()
def fit_latent_rgb(vae: Autoencoder, pictures: torch.Tensor) -> dict[str, Any]:
    """Least-squares map from a latent cell (as the U-Net sees it) to the mean colour of its 8×8 pixels, −1…1."""
    latents = torch.cat([vae.encode(part).latent_dist.mode() for part in pictures.split(32)]) * SCALE_FACTOR
    colours = torch.nn.functional.avg_pool2d(pictures, 8)
    inputs = latents.permute(0, 2, 3, 1).reshape(-1, 4)
    inputs = torch.cat([inputs, torch.ones(len(inputs), 1)], dim=1)
    solution = torch.linalg.lstsq(inputs, colours.permute(0, 2, 3, 1).reshape(-1, 3)).solution
    rounded = [[round(v, 5) for v in row] for row in solution.tolist()]
    return {"factors": rounded[:4], "bias": rounded[4]}
