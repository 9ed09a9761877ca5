"""Control-LoRA (Stability AI 2023): a control network whose weights are those of the model that samples, with low-rank
changes from a small file.

So the file is none until the model is known: its weights are taken as they are in the run, with the LoRAs on it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING

from torch import Tensor

from diffusion.architecture import UnetConfig, family_by_context
from diffusion.checkpoint_file import CheckpointFile
from diffusion.control.architecture import ControlConfig, ControlLoraConfig, original_control_names
from diffusion.control.network import LoadedControlNet, WrongControlNet, control_skeleton
from diffusion.held import HeldWeights, held_by
from diffusion.keys import original_unet_names
from diffusion.lean import make_lean
from diffusion.placing import Place

if TYPE_CHECKING:
    from diffusion.loaded import LoadedUnet

_MARK = "lora_controlnet"
_WHOLE = ("weight", "bias")
_LOW_RANK = ("up", "down")
_HINT = "Choose a Control-LoRA or a ControlNet of the model's family."


def control_config(lora: ControlLoraConfig, unet: UnetConfig, name: str) -> ControlConfig:
    """The control network that a Control-LoRA makes of a U-Net.

    Raises WrongControlNet, with both named, for a U-Net of another family than the file's, or of one that has no
    control networks.
    """
    if lora.context_dim not in (0, unet.context_dim):
        raise WrongControlNet(
            f"{name} was made for {family_by_context(lora.context_dim)}, and this model is "
            f"{family_by_context(unet.context_dim)}: the one reads prompts {lora.context_dim} wide, the other "
            f"{unet.context_dim}.",
            hint=_HINT,
        )
    uneven = unet.middle_depth is None or any(len(set(depths)) != 1 for depths in unet.down_depths)
    if uneven or unet.extra_channels or unet.cross_only or unet.noise_levels:
        what = "reads more than the latent" if unet.extra_channels else "is built another way"
        raise WrongControlNet(
            f"{name} makes a control network of a plain {family_by_context(unet.context_dim)}, and this model {what}.",
            hint="Sample with a model that is not for inpainting, editing or upscaling, nor reduced.",
        )
    return ControlConfig(
        in_channels=unet.in_channels,
        channels=unet.channels,
        layers_per_level=unet.layers_per_level,
        depths=tuple(depths[0] for depths in unet.down_depths),
        middle_depth=unet.middle_depth or 0,
        context_dim=unet.context_dim,
        heads=unet.heads,
        linear_projection=unet.linear_projection,
        hint_channels=lora.hint_channels,
        hint=lora.hint,
        vector=unet.vector,
        root="",
        layout="original",
    )


def control_on(unet: LoadedUnet, lora: ControlLoraConfig, file: CheckpointFile, place: Place) -> LoadedControlNet:
    """The control network that a Control-LoRA makes of a model with its patches.

    A weight is the file's, or else the model's of that name, plus the product of the file's `up` and `down` where it
    has them. Raises WrongControlNet, with both named, when they do not fit.
    """
    name = file.path.name
    config = control_config(lora, unet.config, name)
    module = control_skeleton(config)
    source, own = original_control_names(config), original_unet_names(unet.config)
    theirs = {own(each): each for each, _ in unet.module.named_parameters()}
    wanted = {source(each): value for each, value in module.named_parameters()}
    _check_fit(file, wanted, theirs, unet.config)

    def read(key: str, value: Tensor) -> Callable[[], Tensor]:
        def made() -> Tensor:
            weight = file.tensor(key) if key in file.tensors else held_by(unet.module).weight(theirs[key]).cpu()
            stem = key.removesuffix(".weight")
            if stem != key and f"{stem}.up" in file.tensors:
                up, down = (file.tensor(f"{stem}.{side}").float().flatten(1) for side in _LOW_RANK)
                weight = weight.float().reshape(value.shape) + (up @ down).reshape(value.shape)
            return weight.reshape(value.shape)

        return made

    make_lean(module)
    reads = {each: read(source(each), value) for each, value in module.named_parameters()}
    HeldWeights(module, reads, place, close=file.close)
    return LoadedControlNet(module.requires_grad_(False).eval(), config, place.device, place.dtype)


def _check_fit(file: CheckpointFile, wanted: Mapping[str, Tensor], theirs: Collection[str], unet: UnetConfig) -> None:
    shapes = {name: shape for name, shape in file.shapes.items() if name != _MARK}
    for name, shape in shapes.items():
        stem, _, part = name.rpartition(".")
        there = wanted.get(name if part == "bias" else f"{stem}.weight")
        fits = False
        if there is not None and part in _WHOLE:
            fits = _as_matrix(shape) == _as_matrix(tuple(there.shape))
        elif there is not None and part in _LOW_RANK:
            up, down = (_as_matrix(shapes.get(f"{stem}.{side}", ())) for side in _LOW_RANK)
            fits = up[1] == down[0] and (up[0], down[1]) == _as_matrix(tuple(there.shape))
        if not fits:
            raise _misfit(file, unet, f"has {name} with the shape {list(shape)}, for which this model has no place")
    lacking = next((name for name in wanted if name not in shapes and name not in theirs), None)
    if lacking is not None:
        raise _misfit(file, unet, f"lacks {lacking}, which this model does not have either")


def _as_matrix(shape: tuple[int, ...]) -> tuple[int, int]:
    """A tensor's first dimension, and the others together."""
    return (shape[0], math.prod(shape[1:])) if shape else (0, 0)


def _misfit(file: CheckpointFile, unet: UnetConfig, what: str) -> WrongControlNet:
    return WrongControlNet(
        f"The Control-LoRA {file.path.name} does not fit this model, which is "
        f"{family_by_context(unet.context_dim)}: the file {what}.",
        hint=_HINT,
    )
