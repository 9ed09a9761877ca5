"""Tells what a file holds from the names and shapes of its tensors, never from its file name.

Stable Diffusion 1, 2 and XL are recognised at any width and depth, whole or in parts, and with blocks left out: what
`detection` reads of each component decides the family, not a list of known files.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from diffusion.architecture import (
    LATENT_SCALE,
    REFINER,
    SD1,
    SD2,
    SDXL,
    X4,
    XL_LATENT_SCALE,
    Architecture,
    ClipConfig,
    Prediction,
    ScheduleConfig,
    TinyVaeConfig,
    UnetConfig,
)
from diffusion.checkpoint_file import CheckpointFile
from diffusion.detection.shapes import ShapeMap, Shapes
from diffusion.detection.text import read_clip
from diffusion.detection.unet import read_unet
from diffusion.detection.vae import read_vae
from diffusion.ema import ema_shapes
from diffusion.errors import UnsupportedArchitecture
from diffusion.families import recognise
from diffusion.keys import unet_names
from diffusion.sidecar import Sidecar, read_sidecar, sidecar_from_metadata
from diffusion.values import FileRef

_SCALES = {SD1: LATENT_SCALE, SD2: LATENT_SCALE, SDXL: XL_LATENT_SCALE, REFINER: XL_LATENT_SCALE, X4: 0.08333}
_X4_SCHEDULE = ScheduleConfig(linear_start=0.0001, linear_end=0.02)
_VELOCITY_SPREAD = 0.09


def detect_file(file: CheckpointFile, config: FileRef | None) -> Architecture:
    """The architecture of an open file, with its sidecar config, or the config in its metadata, when there is one.

    What the network predicts, its noise or its velocity, shows in no shape. It is what the config says, or else the
    metadata (`modelspec.prediction_type`), or for SDXL an empty tensor `v_pred` that marks such files (`ztsnr` beside
    it, a schedule that ends in noise alone). Most files of Stable Diffusion 2 say nothing. Theirs is told as ComfyUI
    tells it: in the velocity models, one of the last norms has biases that spread by more than 0.09.
    """
    if config is not None:
        sidecar = read_sidecar(Path(config.path))
    else:
        sidecar = sidecar_from_metadata(file.path.name, file.metadata)
    found = detect(file.shapes, sidecar, name=file.path.name)
    if isinstance(found.vae, TinyVaeConfig):
        found = replace(found, vae=_stated(found.vae, file))
    unet = found.unet
    if unet is None:
        return found
    if found.family == SDXL and {"v_pred", "ztsnr"} <= file.tensors.keys():
        found = replace(found, schedule=replace(found.schedule, zero_terminal=True))
    if sidecar is not None and sidecar.prediction is not None:
        return found
    return replace(found, prediction=_prediction(file, found, unet))


def detect(shapes: ShapeMap, sidecar: Sidecar | None = None, *, name: str = "The file") -> Architecture:
    """The architecture of a file, from its shapes and what the sidecar adds.

    Raises UnsupportedArchitecture, saying what was found, and BadConfig when the sidecar contradicts the shapes.
    """
    known = recognise(shapes)
    if known is not None:
        raise UnsupportedArchitecture(f"{name} is {known.name}, which cannot be loaded here.", hint=known.hint)
    side = sidecar or Sidecar(name="")
    file = Shapes(_with_ema(shapes), side, name)
    unet, vae, clip = read_unet(file), read_vae(file), read_clip(file)
    if unet is None and vae is None and not clip:
        raise UnsupportedArchitecture(
            f"{name} holds no model that is known here: {_summary(shapes)}.",
            hint="Choose a Stable Diffusion 1.x, 2.x or SDXL file.",
        )
    width = sum(each.width for each in clip)
    if unet is not None and clip and unet.context_dim != width:
        raise UnsupportedArchitecture(
            f"{name} has a U-Net that reads text embeddings of width {unet.context_dim} and a text encoder of width "
            f"{width}."
        )
    family = _family(unet, clip)
    return Architecture(
        family,
        unet,
        vae,
        clip,
        side.prediction or ("v" if family == X4 else "eps"),
        side.schedule or (_X4_SCHEDULE if family == X4 else ScheduleConfig()),
        side.scale or _SCALES[family],
    )


def _family(unet: UnetConfig | None, clip: tuple[ClipConfig, ...]) -> str:
    if unet is not None:
        if unet.noise_levels:
            return X4
        if unet.vector:
            return REFINER if unet.numbers == 5 else SDXL
        return SD2 if unet.linear_projection else SD1
    if len(clip) == 2:
        return SDXL
    if clip and clip[0].default_layer == -2:
        return SD2 if clip[0].norm_hidden else REFINER
    return SD1


def _stated(vae: TinyVaeConfig, file: CheckpointFile) -> TinyVaeConfig:
    """A tiny autoencoder with the scale and shift of its latents that its file states in tensors of one number."""
    numbers = {
        field: float(file.tensor(name).float().flatten()[0])
        for field, name in (("scale", "vae_scale"), ("shift", "vae_shift"))
        if name in file.tensors and math.prod(file.tensors[name].shape) == 1
    }
    return replace(vae, **numbers)


def _prediction(file: CheckpointFile, found: Architecture, unet: UnetConfig) -> Prediction:
    stated = file.metadata.get("modelspec.prediction_type", "").lower()
    if stated in ("v", "v_prediction", "v-prediction"):
        return "v"
    if stated in ("epsilon", "eps"):
        return "eps"
    if found.family == SDXL and "v_pred" in file.tensors:
        return "v"
    if found.family != SD2 or unet.extra_channels or not any(unet.up_depths[-1]):
        return found.prediction
    level, layer = len(unet.up_depths) - 1, len(unet.up_depths[-1]) - 1
    name = unet_names(unet)(f"up_blocks.{level}.attentions.{layer}.transformer_blocks.0.norm1.bias")
    if name not in file.tensors:
        return found.prediction
    return "v" if float(file.tensor(name).float().std(unbiased=False)) > _VELOCITY_SPREAD else "eps"


def _with_ema(shapes: ShapeMap) -> ShapeMap:
    """The shapes with those of the averaged U-Net filled in where the file holds no other."""
    if any(name.startswith("model.diffusion_model.") for name in shapes):
        return shapes
    return {**shapes, **ema_shapes(shapes)}


def _summary(shapes: Mapping[str, object]) -> str:
    prefixes = sorted({".".join(name.split(".")[:2])[:60] for name in shapes})
    return f"{len(shapes)} tensors, named {', '.join(prefixes[:6])}{' …' if len(prefixes) > 6 else ''}"
