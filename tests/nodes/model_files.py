"""Every kind of model file at a reduced width, and the inputs that the graphs beside this file name."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from spandrel.architectures.ESRGAN.__arch.RRDB import RRDBNet
from torch import Tensor

from diffusion.latents import save as save_latent
from diffusion.ops.watermark import embed
from diffusion.values import Latent
from tests.diffusion import control_files, tiny, xl
from tests.diffusion.control import test_adapters, test_control_lora, test_union
from tests.diffusion.patches import lora_files
from tests.nodes.test_safety import checker_tensors

WATERMARK = "latentgraph"


def write_models(models: Path) -> None:
    """A models folder with what the graphs load."""
    checkpoints = models / "checkpoints"
    tiny.write(checkpoints / "tiny.safetensors")
    tiny.write(checkpoints / "other.safetensors", seed=1)
    _save(checkpoints / "xl.safetensors", xl.tensors())
    for name, config in (
        ("inpaint", replace(tiny.UNET, in_channels=9)),
        ("edit", replace(tiny.UNET, in_channels=8)),
        ("four-levels", test_adapters.SD1),
    ):
        rest = {key: value for key, value in tiny.tensors().items() if not key.startswith("model.")}
        _save(checkpoints / f"{name}.safetensors", {**rest, **xl.unet(config)})
    _save(models / "diffusion_models" / "unet.safetensors", xl.unet(tiny.UNET))
    _save(models / "clip" / "l.safetensors", xl.clip(replace(xl.SMALL, root="text_model.")))
    _save(models / "clip" / "g.safetensors", xl.clip(replace(xl.LARGE, root="")))
    _save(models / "vae" / "vae.safetensors", dict(tiny.vae_module().state_dict()))
    lora_files.write(models, "style.safetensors", lora_files.tensors("kohya"))
    (models / "controlnet" / test_adapters.write(models, "full_adapter", "original")).rename(
        models / "controlnet" / "adapter.safetensors"
    )
    whole = control_files.tensors("diffusers")
    _save(models / "controlnet" / "union.safetensors", {**whole, **test_union.extra()})
    difference = {name: value * 0.1 for name, value in control_files.tensors("original").items()}
    _save(models / "controlnet" / "difference.safetensors", {**difference, "difference": torch.zeros(1)})
    lora = test_control_lora.files(test_control_lora.rootless(tiny.tensors()))[0]
    _save(models / "controlnet" / "control-lora.safetensors", lora)
    upscaler = RRDBNet(num_filters=4, num_blocks=1, scale=2).state_dict()
    _save(models / "upscale_models" / "tiny.safetensors", dict(upscaler))
    _save(models / "safety_checker" / "checker.safetensors", checker_tensors())
    _diffusers_folder(models / "diffusers" / "folder")


def write_inputs(inputs: Path) -> None:
    """An inputs folder with what the graphs read: a picture with a watermark among others."""
    half = np.zeros((8, 16, 4), dtype=np.uint8)
    half[:, :8, 3] = 255
    Image.fromarray(half).save(inputs / "half.png")
    scene = torch.rand(1, 6, 8, 3).movedim(-1, 1)
    scene = torch.nn.functional.interpolate(scene, size=(128, 176), mode="bicubic").clamp(0.1, 0.9).movedim(1, -1)
    marked = (embed(scene, WATERMARK)[0] * 255).round().byte().numpy()
    Image.fromarray(marked).save(inputs / "scene.png")
    save_latent(Latent(torch.randn(1, 4, 8, 8)), inputs / "saved.latent", {})
    (inputs / "list.txt").write_text("a hut\na bird\n", encoding="utf-8")


def _diffusers_folder(folder: Path) -> None:
    own = replace(tiny.UNET, layout="diffusers", root="")
    _save(folder / "unet" / "diffusion_pytorch_model.safetensors", xl.unet(own))
    _save(folder / "vae" / "diffusion_pytorch_model.safetensors", dict(tiny.vae_module().state_dict()))
    _save(folder / "text_encoder" / "model.safetensors", xl.clip(replace(tiny.CLIP, root="text_model.")))
    scheduler = folder / "scheduler" / "scheduler_config.json"
    scheduler.parent.mkdir(parents=True)
    scheduler.write_text(json.dumps({"num_train_timesteps": 1000, "prediction_type": "epsilon"}))
    (folder / "model_index.json").write_text("{}")


def _save(path: Path, tensors: dict[str, Tensor]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous().clone() for name, value in tensors.items()}, path)
