"""Applies the patches of a reference, in order, to the weights it starts from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn

from diffusion.architecture import UnetConfig
from diffusion.build import TEXT_WEIGHTS
from diffusion.held import HeldWeights, held_by
from diffusion.keys import NameMap, original_unet_names
from diffusion.loaded import LoadedClip, LoadedUnet
from diffusion.patches.apply import Change, Changes, changed_copy
from diffusion.patches.lora import Part, check_fit, fit
from diffusion.patches.lora_file import LoraFile
from diffusion.patches.merge import Counterpart, clip_places, merge_changes
from diffusion.patches.multiply import multiply_changes
from diffusion.patches.targets import TEXT_ENCODER, UNET, text_targets, unet_targets
from diffusion.values import ClipRef, FileRef, LoraPatch, MergePatch, ModelRef, MultiplyPatch, Patch


class Loras(Protocol):
    """Where patches get the adapters of a LoRA file."""

    def lora(self, file: FileRef) -> LoraFile: ...


class Models(Loras, Protocol):
    """Where patches get what they are made of."""

    def unet(self, ref: ModelRef, *, hold: bool = True) -> LoadedUnet: ...

    def clip(self, ref: ClipRef, *, hold: bool = True) -> LoadedClip: ...


def unet_part(module: nn.Module, config: UnetConfig) -> Part:
    """A U-Net, with or without weights, as LoRA files see it."""
    shapes = shapes_of(module)
    place = original_unet_names(config)
    return Part(UNET, unet_targets(shapes, {name: place(name) for name in shapes}), shapes)


def clip_part(module: nn.Module) -> Part:
    """A text encoder, or the list of a model's, with or without weights, as LoRA files see it."""
    shapes = shapes_of(module)
    towers = [f"{place}." for place in range(len(module))] if isinstance(module, nn.ModuleList) else [""]
    return Part(TEXT_ENCODER, text_targets(shapes, towers), shapes)


def patched_unet(base: LoadedUnet, patches: Sequence[Patch], family: str, models: Models) -> UNet2DConditionModel:
    """The U-Net with patches applied, sharing what they leave alone."""

    def counterpart(other: ModelRef | ClipRef) -> Counterpart:
        assert isinstance(other, ModelRef)
        loaded = models.unet(other, hold=False)
        return Counterpart(shapes_of(loaded.module), held_by(loaded.module).weight, original_unet_names(loaded.config))

    part, place = unet_part(base.module, base.config), original_unet_names(base.config)
    return changed_copy(base.module, changes_by(patches, part, family, place, models, counterpart))


def patched_clip(base: LoadedClip, patches: Sequence[Patch], family: str, models: Models) -> nn.ModuleList:
    """The text encoders with patches applied and weights rounded as those of a file are."""

    def counterpart(other: ModelRef | ClipRef) -> Counterpart:
        assert isinstance(other, ClipRef)
        loaded = models.clip(replace(other, patches=()), hold=False)
        theirs, held = clip_places(loaded.configs), held_by(loaded.module)
        more = changes_by(other.patches, clip_part(loaded.module), family, theirs, models, counterpart)
        return Counterpart(shapes_of(loaded.module), partial(_changed, held, more), theirs)

    place = clip_places(base.configs)
    changes = changes_by(patches, clip_part(base.module), family, place, models, counterpart)
    return changed_copy(base.module, changes, TEXT_WEIGHTS)


@torch.no_grad()
def _changed(held: HeldWeights, changes: Changes, name: str) -> Tensor:
    """A weight after its changes, in float32 where there are any: rounded only with what it is merged into."""
    value = held.weight(name).to(held.device)
    for step in changes.get(name, ()):
        value = step(value.float())
    return value


def changes_by(
    patches: Sequence[Patch],
    part: Part,
    family: str,
    place: NameMap,
    models: Loras,
    counterpart: Callable[[ModelRef | ClipRef], Counterpart],
) -> dict[str, tuple[Change, ...]]:
    """What patches do to each parameter of a component, in order.

    `place` gives a parameter's place in the original layout; `counterpart` gives the weights of a model to merge.
    """
    changes: dict[str, tuple[Change, ...]] = {}
    for patch in patches:
        match patch:
            case LoraPatch(file, strength):
                more = _lora(models.lora(file), strength, family, part)
            case MultiplyPatch(factors):
                more = multiply_changes(part.shapes, factors)
            case MergePatch(other, shares):
                more = merge_changes(part.shapes, counterpart(other), shares, place)
        for name, steps in more.items():
            changes[name] = (*changes.get(name, ()), *steps)
    return changes


def _lora(lora: LoraFile, strength: float, family: str, part: Part) -> dict[str, tuple[Change, ...]]:
    found = fit(lora, part)
    if found.misfits:
        check_fit(lora, family, (part,))
    return found.changes(strength)


def shapes_of(module: nn.Module) -> dict[str, torch.Size]:
    """The shapes of a module's parameters."""
    return {name: value.shape for name, value in module.named_parameters()}
