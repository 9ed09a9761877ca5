"""Builds the modules of diffusers and transformers and gives them a file's weights.

A module is made on the meta device, so nothing is initialised only to be overwritten, and each tensor is converted
once, on its way from the file's memory map to the device.
"""

from __future__ import annotations

from typing import Any, TypeVar, cast

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

from diffusion.architecture import ClipConfig, UnetConfig, VaeConfig
from diffusion.checkpoint_file import CheckpointFile
from diffusion.ema import ema_names
from diffusion.errors import CorruptFile, MissingComponent
from diffusion.keys import NameMap, clip_names, missing, unet_names, vae_names

M = TypeVar("M", bound=nn.Module)


def build_unet(
    config: UnetConfig, file: CheckpointFile, device: torch.device, dtype: torch.dtype, *, use_ema: bool
) -> UNet2DConditionModel:
    """The U-Net of a file. `use_ema` asks for the averaged weights; they are used anyway when there are no others.

    Raises MissingComponent when the averaged weights are asked for and are not in the file.
    """
    module = unet_skeleton(config)
    plain = unet_names(config)
    averages = ema_names(file.tensors)
    if use_ema and not averages:
        raise MissingComponent(
            f"{file.path.name} holds no averaged (EMA) weights.", hint="Load it without `use_ema`.", input="use_ema"
        )

    def source(name: str) -> str:
        original = plain(name)
        if use_ema or original not in file.tensors:
            return averages.get(original, original)
        return original

    return _fill(module, file, source, device, dtype)


def unet_skeleton(config: UnetConfig) -> UNet2DConditionModel:
    """A U-Net without weights: its structure and the shapes of its parameters."""
    with torch.device("meta"):
        return UNet2DConditionModel(
            in_channels=config.in_channels,
            out_channels=config.out_channels,
            down_block_types=tuple("CrossAttnDownBlock2D" if each else "DownBlock2D" for each in config.attention),
            up_block_types=tuple("CrossAttnUpBlock2D" if each else "UpBlock2D" for each in reversed(config.attention)),
            block_out_channels=config.channels,
            layers_per_block=config.layers_per_level,
            transformer_layers_per_block=config.transformer_depth,
            cross_attention_dim=config.context_dim,
            attention_head_dim=cast("tuple[int]", config.heads),
            use_linear_projection=config.linear_projection,
            norm_num_groups=config.norm_groups,
        )


def build_vae(config: VaeConfig, file: CheckpointFile, device: torch.device, dtype: torch.dtype) -> AutoencoderKL:
    """The autoencoder of a file."""
    levels = len(config.channels)
    shape: dict[str, Any] = {
        "down_block_types": ("DownEncoderBlock2D",) * levels,
        "up_block_types": ("UpDecoderBlock2D",) * levels,
        "block_out_channels": config.channels,
    }
    with torch.device("meta"):
        module = AutoencoderKL(
            in_channels=config.in_channels,
            out_channels=config.in_channels,
            **shape,
            layers_per_block=config.layers_per_level,
            latent_channels=config.latent_channels,
            norm_num_groups=config.norm_groups,
            scaling_factor=config.scale,
            use_quant_conv=config.quant_conv,
            use_post_quant_conv=config.quant_conv,
        )
    return _fill(module, file, vae_names(config), device, dtype)


def build_clip(config: ClipConfig, file: CheckpointFile, device: torch.device, dtype: torch.dtype) -> CLIPTextModel:
    """The text encoder of a file. Stored position ids are not read: they are 0, 1, 2 … by definition, and some files
    hold them rounded."""
    module = clip_skeleton(config)
    _fill(module, file, clip_names, device, dtype)
    for name, buffer in list(module.named_buffers()):
        if name.endswith("position_ids"):
            owner = module.get_submodule(name.rpartition(".")[0])
            ids = torch.arange(buffer.shape[-1], device=device).expand(buffer.shape)
            owner.register_buffer("position_ids", ids, persistent=False)
    return module


def clip_skeleton(config: ClipConfig) -> CLIPTextModel:
    """A text encoder without weights."""
    with torch.device("meta"):
        return CLIPTextModel(
            CLIPTextConfig(
                vocab_size=config.vocabulary,
                hidden_size=config.width,
                intermediate_size=config.feed_forward,
                num_hidden_layers=config.layers,
                num_attention_heads=config.heads,
                max_position_embeddings=config.positions,
                hidden_act=config.activation,
                projection_dim=config.width,
            )
        )


def _fill(module: M, file: CheckpointFile, source: NameMap, device: torch.device, dtype: torch.dtype) -> M:
    wanted = {name: value for name, value in module.state_dict().items() if not name.endswith("position_ids")}
    lacking = missing(wanted, source, file.tensors)
    if lacking:
        raise CorruptFile(
            f"{file.path.name} lacks {len(lacking)} of the {len(wanted)} tensors of its {type(module).__name__}, "
            f"{lacking[0]} the first.",
            hint="Download the file again.",
        )
    weights = {name: _fitted(file, source(name), value, device, dtype) for name, value in wanted.items()}
    module.load_state_dict(weights, strict=False, assign=True)
    return module.requires_grad_(False).eval()


def _fitted(file: CheckpointFile, name: str, wanted: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
    """The stored tensor in the shape, type and place the module wants; a 1×1 convolution may be a linear layer."""
    stored = file.tensor(name)
    if stored.shape != wanted.shape:
        squeezed = stored.shape[:2] == wanted.shape and stored.shape[2:] == (1, 1)
        if not squeezed:
            raise CorruptFile(
                f"{file.path.name}: {name} has the shape {list(stored.shape)} where {list(wanted.shape)} is needed."
            )
        stored = stored.reshape(wanted.shape)
    return stored.to(device=device, dtype=dtype)
