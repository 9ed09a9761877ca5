"""Applies the patches of a reference, in order, to the weights it starts from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn

from diffusion.architecture import UnetConfig
from diffusion.keys import unet_names
from diffusion.loaded import LoadedClip, LoadedUnet
from diffusion.patches.apply import Change, changed_copy
from diffusion.patches.lora import Part, check_fit, fit
from diffusion.patches.lora_file import LoraFile
from diffusion.patches.merge import CannotMerge, merge_changes
from diffusion.patches.targets import text_targets, unet_targets
from diffusion.values import ClipRef, FileRef, LoraPatch, MergePatch, ModelRef

M = TypeVar("M", bound=nn.Module)


class Models(Protocol):
    """Where patches get what they are made of."""

    def lora(self, file: FileRef) -> LoraFile: ...

    def unet(self, ref: ModelRef) -> LoadedUnet: ...

    def clip(self, ref: ClipRef) -> LoadedClip: ...


def unet_part(module: nn.Module, config: UnetConfig) -> Part:
    """A U-Net, with or without weights, as LoRA files see it."""
    shapes = _shapes(module)
    place = unet_names(config)
    return Part("U-Net", unet_targets(shapes, {name: place(name) for name in shapes}), shapes)


def clip_part(module: nn.Module) -> Part:
    """A text encoder, or the list of a model's, with or without weights, as LoRA files see it."""
    shapes = _shapes(module)
    towers = [f"{place}." for place in range(len(module))] if isinstance(module, nn.ModuleList) else [""]
    return Part("text encoder", text_targets(shapes, towers), shapes)


def patched_unet(base: LoadedUnet, patches: Sequence[object], family: str, models: Models) -> UNet2DConditionModel:
    """The U-Net with patches applied, sharing what they leave alone."""
    changes: dict[str, tuple[Change, ...]] = {}
    part = unet_part(base.module, base.config)
    place = unet_names(base.config)
    own = _parameters(base.module)
    for patch in patches:
        match patch:
            case LoraPatch(file, strength):
                _extend(changes, _lora(models.lora(file), strength, family, part))
            case MergePatch(ModelRef() as ref, shares):
                other = _parameters(models.unet(ref).module)
                _extend(
                    changes,
                    merge_changes(
                        own,
                        other,
                        shares,
                        lambda name: place(name).removeprefix("model.diffusion_model."),
                        other_name=ref.file.name,
                    ),
                )
            case _:
                raise TypeError(f"{patch!r} is no patch of a model")
    return changed_copy(base.module, changes)


def patched_clip(module: M, patches: Sequence[object], family: str, models: Models) -> M:
    """The text encoder, or list of them, with patches applied."""
    changes: dict[str, tuple[Change, ...]] = {}
    part = clip_part(module)
    for patch in patches:
        match patch:
            case LoraPatch(file, strength):
                _extend(changes, _lora(models.lora(file), strength, family, part))
            case MergePatch(ClipRef() as ref, shares):
                other = _parameters(models.clip(ref).module)
                try:
                    more = merge_changes(_parameters(module), other, shares, str, other_name=ref.files[0].name)
                except CannotMerge as error:
                    error.input = "clip2"
                    raise
                _extend(changes, more)
            case _:
                raise TypeError(f"{patch!r} is no patch of a text encoder")
    return changed_copy(module, changes)


def _lora(lora: LoraFile, strength: float, family: str, part: Part) -> dict[str, tuple[Change, ...]]:
    found = fit(lora, part)
    if found.misfits:
        check_fit(lora, family, (part,))
    return found.changes(strength)


def _extend(changes: dict[str, tuple[Change, ...]], more: Mapping[str, tuple[Change, ...]]) -> None:
    for name, steps in more.items():
        changes[name] = (*changes.get(name, ()), *steps)


def _shapes(module: nn.Module) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in module.named_parameters()}


def _parameters(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach() for name, value in module.named_parameters()}
