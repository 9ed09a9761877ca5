"""A control network with its weights in place."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, cast

import torch
from diffusers.models.controlnets.controlnet import ControlNetModel
from torch import Tensor, nn

from diffusion.build import Convert, fill
from diffusion.checkpoint_file import CheckpointFile
from diffusion.control.adapter import AdapterConfig, LoadedAdapter, build_adapter
from diffusion.control.architecture import (
    ControlConfig,
    ControlLoraConfig,
    control_names,
    original_control_names,
    read_control,
)
from diffusion.control.loaded import LoadedControl
from diffusion.control.union import UnionParts
from diffusion.errors import DiffusionError
from diffusion.held import held_by
from diffusion.keys import original_unet_names
from diffusion.placing import Place
from diffusion.sampling.protocols import Residuals
from diffusion.values import ControlNetRef, ModelRef

if TYPE_CHECKING:
    from diffusion.loaded import LoadedUnet


_UNION = "union"
"""The name of the layers that only a union network has, within the module."""

_POOLED = ("_shuffle", "_shuffle_fp16")
"""How the names of files, without their ending, end whose residuals are pooled."""


class WrongControlNet(DiffusionError):
    """A control network that was made for another kind of model, or is used as what it is not."""

    default_code = "wrong_control_net"


@dataclass(frozen=True, slots=True, eq=False)
class LoadedControlNet(LoadedControl):
    """A control network on its device, computing in the type it was loaded in."""

    module: ControlNetModel
    config: ControlConfig
    device: torch.device
    dtype: torch.dtype
    pooled: bool = False
    """Whether each of its residuals is spread evenly: it tells what is in its picture, and not where."""

    @property
    def bytes(self) -> int:
        return sum(each.numel() * each.element_size() for each in self.module.parameters())

    @torch.inference_mode()
    def residuals(
        self,
        x: Tensor,
        timestep: Tensor,
        context: Tensor,
        vector: Tensor | None,
        hint: Tensor,
        task: int | None = None,
    ) -> Residuals:
        """What to add to the U-Net's layers: x float32 [B, C, h, w] as the U-Net sees it, timestep [B], context
        [B, T, D], vector [B, P] where the network reads one, hint [B, 3, 8h, 8w] from 0 to 1; `task` is the kind of
        picture that a union network is given."""
        with ExitStack() as hooks:
            if self.config.union is not None:
                self._tell(task, hooks)
            down, middle = self.module(
                x.to(self.device, self.dtype),
                timestep.to(self.device),
                encoder_hidden_states=context.to(self.device, self.dtype),
                controlnet_cond=hint.to(self.device, self.dtype),
                class_labels=None if vector is None or not self.config.vector else vector.to(self.device, self.dtype),
                return_dict=False,
            )
        if self.pooled:
            down, middle = tuple(_everywhere(each) for each in down), _everywhere(middle)
        return Residuals(tuple(each.float() for each in down), middle.float())

    def _tell(self, task: int | None, hooks: ExitStack) -> None:
        """Until `hooks` is closed, the network takes its picture as one of a kind."""
        union = self.module.get_submodule(_UNION)

        def time(module: nn.Module, inputs: object, output: Tensor) -> Tensor:
            del module, inputs
            return output + union(task)

        def picture(module: nn.Module, inputs: object, output: Tensor) -> Tensor:
            del module, inputs
            return output if task is None else union(task, output)

        hooks.enter_context(self.module.time_embedding.register_forward_hook(time))
        hooks.enter_context(self.module.controlnet_cond_embedding.register_forward_hook(picture))


@dataclass(frozen=True, slots=True, eq=False)
class ControlLora(LoadedControl):
    """A Control-LoRA, which is no network before it is on a model (`diffusion.control.lora`)."""

    config: ControlLoraConfig

    @property
    def bytes(self) -> int:
        return 0


def load_control(
    ref: ControlNetRef,
    file: CheckpointFile,
    place: Place,
    unet: Callable[[ModelRef], LoadedUnet],
) -> LoadedControlNet | LoadedAdapter | ControlLora:
    """The control network, T2I-Adapter or Control-LoRA of a file. `unet` gives the model that a difference is added to.

    Raises UnsupportedArchitecture when the file holds none of them, and WrongControlNet when it holds a difference, and
    not to the model given.
    """
    config = read_control(file)
    if isinstance(config, AdapterConfig):
        return build_adapter(config, file, place)
    if isinstance(config, ControlLoraConfig):
        return ControlLora(config)
    convert = None
    if config.difference:
        if ref.model is None:
            raise WrongControlNet(f"{ref.file.name} is the difference to a model, and none was given.")
        convert = _added_to(config, unet(ref.model), ref)
    return replace(build_control(config, file, place, convert), pooled=is_pooled(ref.file.name))


def is_pooled(name: str) -> bool:
    """Whether the residuals of a ControlNet's file are spread evenly. Only its name tells: ControlNet 1.1's `shuffle`
    was trained so, and nothing in the file says it."""
    return PurePosixPath(name).stem.endswith(_POOLED)


def _everywhere(residual: Tensor) -> Tensor:
    """The mean of a residual [B, C, h, w] at each of its places."""
    return residual.mean(dim=(2, 3), keepdim=True).expand_as(residual)


def build_control(
    config: ControlConfig, file: CheckpointFile, place: Place, convert: Convert | None = None
) -> LoadedControlNet:
    """The control network of a file; `convert` changes each of its weights."""
    module, plain = control_skeleton(config), control_names(config)

    def source(name: str) -> str:
        part = name.removeprefix(f"{_UNION}.")
        return plain(name) if part == name else config.root + part

    return LoadedControlNet(fill(module, file, source, place, convert), config, place.device, place.dtype)


def control_skeleton(config: ControlConfig) -> ControlNetModel:
    """A control network without weights."""
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
        if config.union is not None:
            module.add_module(_UNION, UnionParts(config.union, 4 * config.channels[0]))
    return module


def _added_to(config: ControlConfig, base: LoadedUnet, ref: ControlNetRef) -> Convert:
    """Adds to each weight that the U-Net also has what the U-Net has there."""
    place, own = original_control_names(config), original_unet_names(base.config)
    theirs = {own(name): name for name, _ in base.module.named_parameters()}

    def convert(name: str, stored: Tensor) -> Tensor:
        there = theirs.get(place(name)) if not name.startswith(f"{_UNION}.") else None
        if there is None:
            return stored
        weight = held_by(base.module).weight(there)
        if weight.numel() != stored.numel():
            raise WrongControlNet(
                f"{ref.file.name} is the difference to another model: {name} has the shape {list(stored.shape)}, and "
                f"the model's {list(weight.shape)}.",
                hint="Connect the model that the ControlNet was made from.",
                input="control_net_name",
            )
        return stored.float() + weight.float().cpu().reshape(stored.shape)

    return convert
