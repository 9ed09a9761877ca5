"""The weights that a reference stands for, with its patches applied, read one at a time.

Unlike `residency`, which builds modules in the type that runs, this gives each weight in the type its file stores, or
that text encoders are always rounded to. Patched ones are computed in float32 and rounded once. Nothing is held but the
tensor that is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from diffusion.architecture import ClipConfig, TinyVaeConfig, UnetConfig, VaeConfig
from diffusion.build import (
    TEXT_WEIGHTS,
    Convert,
    clip_skeleton,
    fitted,
    text_weights,
    unet_skeleton,
    unet_source,
    vae_skeleton,
    vae_source,
)
from diffusion.checkpoint_file import CheckpointFile
from diffusion.keys import NameMap, clip_names, original_unet_names
from diffusion.patches.apply import Changes
from diffusion.patches.merge import Counterpart, clip_places
from diffusion.patches.patching import changes_by, clip_part, shapes_of, unet_part
from diffusion.residency import ROUNDED, Residency
from diffusion.shards import open_weights
from diffusion.values import ClipRef, FileRef, ModelRef, VaeRef


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """The weights of a component by the parameter names of the module that runs it: shapes and stored types, and each
    value when it is read, on the CPU."""

    shapes: Mapping[str, torch.Size]
    dtypes: Mapping[str, torch.dtype]
    read: Callable[[str], Tensor]


def unet_weights(ref: ModelRef, models: Residency, files: ExitStack) -> tuple[UnetConfig, Weights]:
    """The U-Net of a reference. Its files stay open until `files` is closed."""
    found = models.describe(ref.file, ref.config)
    assert found.unet is not None  # the loaders refuse a file without one
    config, file, rounded = found.unet, _open(ref.file, files), ROUNDED[ref.weight_dtype]
    module = unet_skeleton(config)
    convert: Convert | None = None if rounded is None else lambda _, stored: stored.to(rounded)
    base = _stored(module, file, unet_source(config, file, use_ema=ref.use_ema), convert, rounded)

    def counterpart(other: ModelRef | ClipRef) -> Counterpart:
        assert isinstance(other, ModelRef)
        theirs, weights = unet_weights(other, models, files)
        return Counterpart(weights.shapes, weights.read, original_unet_names(theirs))

    changes = changes_by(
        ref.patches, unet_part(module, config), found.family, original_unet_names(config), models, counterpart
    )
    return config, _changed(base, changes, models.device)


def clip_weights(
    ref: ClipRef, models: Residency, files: ExitStack
) -> tuple[tuple[ClipConfig, ...], tuple[Weights, ...]]:
    """The text encoders of a reference: one, or the two of SDXL."""
    configs = models.text_encoders(ref)
    opened = [_open(file, files) for file in ref.files]
    modules = clip_skeleton(configs)
    towers = tuple(
        _stored(module, file, clip_names(config), text_weights(config), TEXT_WEIGHTS)
        for module, config, file in zip(
            modules, configs, opened if len(opened) == len(configs) else opened * len(configs), strict=True
        )
    )

    def counterpart(other: ModelRef | ClipRef) -> Counterpart:
        assert isinstance(other, ClipRef)
        theirs, towers = clip_weights(other, models, files)
        weights = _joined(towers)
        return Counterpart(weights.shapes, weights.read, clip_places(theirs))

    family = models.describe(ref.files[0], ref.config).family
    changes = changes_by(ref.patches, clip_part(modules), family, clip_places(configs), models, counterpart)
    return configs, tuple(
        _changed(tower, _below(changes, f"{index}."), models.device) for index, tower in enumerate(towers)
    )


def vae_weights(ref: VaeRef, models: Residency, files: ExitStack) -> tuple[VaeConfig, Weights] | None:
    """The autoencoder of a reference; None for a tiny one."""
    config = models.describe(ref.file, ref.config).vae
    if not isinstance(config, VaeConfig):
        return None
    file = _open(ref.file, files)
    return config, _stored(vae_skeleton(config), file, vae_source(config, file))


def tiny_vae_tensors(ref: VaeRef, models: Residency, files: ExitStack) -> dict[str, tuple[CheckpointFile, str]]:
    """The tensors of a tiny autoencoder by their names in a file that holds both sides: the file and the name there."""
    found: dict[str, tuple[CheckpointFile, str]] = {}
    for place in (ref.file, ref.encoder):
        if place is None:
            continue
        config, file = models.describe(place, ref.config if place is ref.file else None).vae, _open(place, files)
        assert isinstance(config, TinyVaeConfig)
        found |= {name: (file, name) for name in ("vae_scale", "vae_shift") if name in file.tensors}
        for side, root in (("encoder", config.encoder), ("decoder", config.decoder)):
            if root is not None:
                whole = f"taesd_{side}." if config.layout == "original" else f"{side}.layers."
                names = [name for name in file.names() if name.startswith(root)]
                found |= {whole + name.removeprefix(root): (file, name) for name in names}
    return found


def _stored(
    module: nn.Module,
    file: CheckpointFile,
    source: NameMap,
    convert: Convert | None = None,
    rounded: torch.dtype | None = None,
) -> Weights:
    """The weights of a module as a file holds them, or `rounded` to another type by `convert`."""
    wanted = dict(module.named_parameters())

    def read(name: str) -> Tensor:
        stored = file.tensor(source(name))
        return fitted(file, source(name), stored if convert is None else convert(name, stored), wanted[name])

    dtypes = {name: rounded or file.tensors[source(name)].dtype for name in wanted}
    return Weights(shapes_of(module), dtypes, read)


def _changed(base: Weights, changes: Changes, device: torch.device) -> Weights:
    """The weights after changes, each computed on `device` in float32."""
    return Weights(base.shapes, base.dtypes, partial(_read_changed, base, changes, device))


@torch.inference_mode()
def _read_changed(base: Weights, changes: Changes, device: torch.device, name: str) -> Tensor:
    stored = base.read(name)
    if name not in changes:
        return stored
    value = stored.to(device).float()
    for step in changes[name]:
        value = step(value)
    return value.to(stored.dtype).cpu()


def _joined(towers: tuple[Weights, ...]) -> Weights:
    """Several components as one list of modules, which names them by their place."""
    shapes = {f"{index}.{name}": shape for index, each in enumerate(towers) for name, shape in each.shapes.items()}
    dtypes = {f"{index}.{name}": dtype for index, each in enumerate(towers) for name, dtype in each.dtypes.items()}

    def read(name: str) -> Tensor:
        index, _, rest = name.partition(".")
        return towers[int(index)].read(rest)

    return Weights(shapes, dtypes, read)


def _below(changes: Changes, root: str) -> Changes:
    return {name.removeprefix(root): steps for name, steps in changes.items() if name.startswith(root)}


def _open(file: FileRef, files: ExitStack) -> CheckpointFile:
    return files.enter_context(open_weights(Path(file.path)))
