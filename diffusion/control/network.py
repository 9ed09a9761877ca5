"""A control network with its weights in place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from diffusers.models.controlnets.controlnet import ControlNetModel
from torch import Tensor

from diffusion.build import fill
from diffusion.checkpoint_file import CheckpointFile
from diffusion.control.architecture import ControlConfig, control_names
from diffusion.held import Place
from diffusion.sampling.protocols import Residuals


@dataclass(frozen=True, slots=True, eq=False)
class LoadedControlNet:
    """A control network on its device, computing in the type it was loaded in."""

    module: ControlNetModel
    config: ControlConfig
    device: torch.device
    dtype: torch.dtype

    @property
    def bytes(self) -> int:
        return sum(each.numel() * each.element_size() for each in self.module.parameters())

    @torch.inference_mode()
    def residuals(self, x: Tensor, timestep: Tensor, context: Tensor, vector: Tensor | None, hint: Tensor) -> Residuals:
        """What to add to the U-Net's layers: x float32 [B, C, h, w] as the U-Net sees it, timestep [B], context
        [B, T, D], vector [B, P] where the network reads one, hint [B, 3, 8h, 8w] from 0 to 1."""
        down, middle = self.module(
            x.to(self.device, self.dtype),
            timestep.to(self.device),
            encoder_hidden_states=context.to(self.device, self.dtype),
            controlnet_cond=hint.to(self.device, self.dtype),
            class_labels=None if vector is None or not self.config.vector else vector.to(self.device, self.dtype),
            return_dict=False,
        )
        return Residuals(tuple(each.float() for each in down), middle.float())


def build_control(config: ControlConfig, file: CheckpointFile, place: Place) -> LoadedControlNet:
    """The control network of a file."""
    options: dict[str, Any] = {}
    if config.vector:
        options = {"class_embed_type": "projection", "projection_class_embeddings_input_dim": config.vector}
    depths = [depth or 1 for depth in config.depths[:-1]]
    depths.append(config.depths[-1] or config.middle_depth)
    with torch.device("meta"):
        module = ControlNetModel(
            in_channels=config.in_channels,
            conditioning_channels=config.hint_channels,
            down_block_types=tuple("CrossAttnDownBlock2D" if each else "DownBlock2D" for each in config.depths),
            block_out_channels=config.channels,
            layers_per_block=config.layers_per_level,
            transformer_layers_per_block=cast("tuple[int]", depths),
            cross_attention_dim=config.context_dim,
            attention_head_dim=cast("tuple[int]", config.heads),
            use_linear_projection=config.linear_projection,
            conditioning_embedding_out_channels=config.hint,
            **options,
        )
    return LoadedControlNet(fill(module, file, control_names(config), place), config, place.device, place.dtype)
