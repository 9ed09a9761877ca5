"""Applies the patches of a reference, in order, to the weights it starts from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn

from diffusion.architecture import UnetConfig
from diffusion.keys import clip_names, unet_names
from diffusion.loaded import LoadedClip, LoadedUnet
from diffusion.patches.apply import Change, changed_copy
from diffusion.patches.lora import Part, check_fit, fit
from diffusion.patches.lora_file import LoraFile
from diffusion.patches.merge import CannotMerge, merge_changes
from diffusion.patches.targets import SD1_TEXT, SECOND_TEXT, text_targets, unet_targets
from diffusion.values import ClipRef, FileRef, LoraPatch, MergePatch, ModelRef


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


def clip_part(modules: nn.ModuleList) -> Part:
    """The text encoders, with or without weights, as LoRA files see them."""
    targets: dict[str, str] = {}
    for index, module in enumerate(modules):
        found = text_targets(_shapes(module), SECOND_TEXT if index else SD1_TEXT)
        targets |= {name: f"{index}.{layer}" for name, layer in found.items()}
    return Part("text encoder", targets, _shapes(modules))


def patched_unet(base: LoadedUnet, patches: Sequence[object], family: str, models: Models) -> UNet2DConditionModel:
    """The U-Net with patches applied, sharing what they leave alone."""
    changes: dict[str, tuple[Change, ...]] = {}
    part = unet_part(base.module, base.config)
    place = unet_names(base.config)
    for patch in patches:
        match patch:
            case LoraPatch(file, strength):
                _extend(changes, _lora(models.lora(file), strength, family, part))
            case MergePatch(ModelRef() as ref, shares):
                other = _parameters(models.unet(ref).module)
                _extend(
                    changes,
                    merge_changes(
                        _parameters(base.module),
                        other,
                        shares,
                        lambda name: place(name).removeprefix("model.diffusion_model."),
                        other_name=ref.file.name,
                    ),
                )
            case _:
                raise TypeError(f"{patch!r} is no patch of a model")
    return changed_copy(base.module, changes)


def patched_clip(base: LoadedClip, patches: Sequence[object], family: str, models: Models) -> nn.ModuleList:
    """The text encoder with patches applied."""
    changes: dict[str, tuple[Change, ...]] = {}
    part = clip_part(base.module)
    for patch in patches:
        match patch:
            case LoraPatch(file, strength):
                _extend(changes, _lora(models.lora(file), strength, family, part))
            case MergePatch(ClipRef() as ref, shares):
                other = _parameters(models.clip(ref).module)
                try:
                    more = merge_changes(
                        _parameters(base.module), other, shares, _text_place(base), other_name=ref.files[0].name
                    )
                except CannotMerge as error:
                    error.input = "clip2"
                    raise
                _extend(changes, more)
            case _:
                raise TypeError(f"{patch!r} is no patch of a text encoder")
    return changed_copy(base.module, changes)


def _text_place(clip: LoadedClip) -> Callable[[str], str]:
    """From a parameter of the text encoders to its name in the single file."""
    maps = [clip_names(config) for config in clip.configs]

    def place(name: str) -> str:
        index, _, rest = name.partition(".")
        return maps[int(index)](rest)

    return place


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
