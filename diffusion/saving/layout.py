"""Names weights as the original single files do, and says in metadata what their shapes cannot.

The original layout keeps a linear layer of the autoencoder's attention as a convolution of one pixel, and stacks the
three projections of attention in OpenCLIP's text encoders.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from diffusion.architecture import (
    CLIP_ROOT,
    REFINER,
    SD1,
    SD2,
    SDXL,
    UNET_ROOT,
    VAE_ROOT,
    Architecture,
    ClipConfig,
    UnetConfig,
    VaeConfig,
)
from diffusion.keys import clip_names, diffusers_vae_names, original_unet_names
from diffusion.saving.weights import Weights
from diffusion.saving.writer import Entry

_OPEN_CLIP_ROOT = "cond_stage_model.model."
_XL_ROOTS = ("conditioner.embedders.0.transformer.text_model.", "conditioner.embedders.1.model.")
_REFINER_ROOT = "conditioner.embedders.0.model."
_ALONE = "text_model."
_MODELSPEC = {
    SD1: "stable-diffusion-v1",
    SD2: "stable-diffusion-v2",
    SDXL: "stable-diffusion-xl-v1-base",
    REFINER: "stable-diffusion-xl-v1-refiner",
}


def unet_entries(config: UnetConfig, weights: Weights) -> list[Entry]:
    """A U-Net as it lies in a checkpoint."""
    place = original_unet_names(config)
    return [_entry(UNET_ROOT + place(name), weights, name) for name in weights.shapes]


def vae_entries(config: VaeConfig, weights: Weights, *, alone: bool) -> list[Entry]:
    """An autoencoder as it lies in a checkpoint, or `alone` in a file of its own."""
    place = diffusers_vae_names(len(config.channels), config.layers_per_level)
    root = "" if alone else VAE_ROOT
    return [
        _entry(root + place(name), weights, name, (1, 1) if ".attentions." in name and len(shape) == 2 else ())
        for name, shape in weights.shapes.items()
    ]


def clip_entries(configs: tuple[ClipConfig, ...], towers: tuple[Weights, ...]) -> list[Entry]:
    """The text encoders as they lie in a checkpoint: of SD 1 as transformers names them, others as OpenCLIP does."""
    if len(configs) == 2:
        roots = _XL_ROOTS
    elif configs[0].pad != 0:
        roots = (CLIP_ROOT,)
    else:
        roots = (_OPEN_CLIP_ROOT if configs[0].norm_hidden else _REFINER_ROOT,)
    entries: list[Entry] = []
    for config, weights, root in zip(configs, towers, roots, strict=True):
        if config.pad != 0:
            entries += _transformers(replace(config, root=root, layout="transformers"), weights)
        else:
            entries += _open_clip(replace(config, root=root, layout="open_clip"), weights)
    return entries


def clip_file_entries(config: ClipConfig, weights: Weights) -> list[Entry]:
    """A text encoder in a file of its own, as transformers names it."""
    return _transformers(replace(config, root=_ALONE, layout="transformers"), weights)


def clip_file_name(config: ClipConfig) -> str:
    """What files of that encoder are called: CLIP-L, or OpenCLIP's ViT-H or ViT-bigG."""
    return "clip_l" if config.pad != 0 else "clip_h" if config.norm_hidden else "clip_g"


def marks(found: Architecture) -> list[Entry]:
    """The empty tensors by which other programs tell what a U-Net predicts."""
    empty = torch.zeros(0)
    names = ["v_pred"] if found.prediction == "v" else []
    names += ["ztsnr"] if found.schedule.zero_terminal else []
    return [Entry(name, (0,), empty.dtype, lambda: empty) for name in names]


def unet_metadata(found: Architecture, title: str) -> dict[str, str]:
    """What a file with a U-Net says of it: by the Stability model metadata standard (modelspec), and as a config
    that is read when the file is opened here."""
    spec = {
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.implementation": "sgm",
        "modelspec.title": title,
        "modelspec.predict_key": "v" if found.prediction == "v" else "epsilon",
        "modelspec.prediction_type": "v" if found.prediction == "v" else "epsilon",
    }
    if found.family in _MODELSPEC:
        spec["modelspec.architecture"] = _MODELSPEC[found.family]
    return spec


def config_metadata(found: Architecture) -> dict[str, str]:
    """The config of what is saved, as `sidecar` reads it from a file's metadata. Parts of `found` that are not
    saved are None, or empty."""
    params: dict[str, Any] = {"scale_factor": found.latent_scale}
    if found.unet is not None:
        levels = found.schedule
        params |= {"linear_start": levels.linear_start, "linear_end": levels.linear_end, "timesteps": levels.timesteps}
        params |= {"zero_terminal_snr": True} if levels.zero_terminal else {}
        params |= {"parameterization": found.prediction, "unet_config": {"params": _unet_params(found.unet)}}
    if isinstance(found.vae, VaeConfig):
        params["first_stage_config"] = {"params": {"ddconfig": {"norm_num_groups": found.vae.norm_groups}}}
    if len(found.clip) == 1:
        (clip,) = found.clip
        params["cond_stage_config"] = {"params": {"num_heads": clip.heads, "hidden_act": clip.activation}}
    return {"architecture": json.dumps(params)}


def _unet_params(config: UnetConfig) -> dict[str, int]:
    params = {"norm_num_groups": config.norm_groups}
    if len(set(config.heads)) == 1:
        return params | {"num_heads": config.heads[0]}
    return params | {"num_head_channels": config.channels[0] // config.heads[0]}


def _transformers(config: ClipConfig, weights: Weights) -> list[Entry]:
    place = clip_names(config)
    return [_entry(place(name), weights, name) for name in weights.shapes]


def _open_clip(config: ClipConfig, weights: Weights) -> list[Entry]:
    place = clip_names(config)
    sources: dict[str, list[str]] = {}
    for name in weights.shapes:
        sources.setdefault(place(name), []).append(name)
    return [_stacked(target, weights, names) for target, names in sources.items()]


def _stacked(target: str, weights: Weights, names: list[str]) -> Entry:
    """Parameters, in the order q, k, v, one above the other; the text projection is stored on its side."""
    if len(names) == 1 and not target.endswith("text_projection"):
        return _entry(target, weights, names[0])
    ordered = sorted(names, key=lambda name: "qkv".index(name.rpartition("_proj.")[0][-1])) if len(names) > 1 else names
    rows, *rest = weights.shapes[ordered[0]]

    def read() -> Tensor:
        parts = [weights.read(name) for name in ordered]
        return torch.cat(parts) if len(parts) > 1 else parts[0].T.contiguous()

    shape = (rows * len(ordered), *rest) if len(ordered) > 1 else tuple(reversed((rows, *rest)))
    return Entry(target, shape, weights.dtypes[ordered[0]], read)


def _entry(target: str, weights: Weights, name: str, kernel: tuple[int, ...] = ()) -> Entry:
    shape = (*weights.shapes[name], *kernel)
    return Entry(target, shape, weights.dtypes[name], lambda: weights.read(name).reshape(shape))


def texts(prompt: Mapping[str, Any], workflow: Mapping[str, Any]) -> dict[str, str]:
    """The graph that made a file, as metadata."""
    return {"prompt": json.dumps(prompt), "workflow": json.dumps(workflow)}
