from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

from diffusion.architecture import VaeConfig
from diffusion.build import build_clip, build_vae, unet_skeleton
from diffusion.checkpoint_file import CheckpointFile
from diffusion.detect import detect
from diffusion.held import held_by
from diffusion.keys import clip_names, unet_names, vae_names
from diffusion.placing import Place
from diffusion.safetensors_header import TensorInfo
from tests.diffusion import tiny
from tests.reference.recipes import layout


def test_the_public_sd15_unet_is_used_whole_with_the_shapes_of_diffusers_own_config():
    shapes = {name: shape for name, shape in layout("sd15").items() if name.startswith("model.")}
    config = detect(layout("sd15")).unet
    assert config is not None
    with torch.device("meta"):
        module = UNet2DConditionModel(cross_attention_dim=768)  # the rest are the library's defaults, which are SD 1's
    source = unet_names(config)
    mapped = {source(name): tuple(value.shape) for name, value in module.state_dict().items()}
    assert mapped == shapes


@pytest.mark.parametrize("name", ["sd15-inpainting", "sd21-v", "sdxl-base"])
def test_other_public_unets_are_used_whole(name: str):
    shapes = {each: shape for each, shape in layout(name).items() if each.startswith("model.")}
    config = detect(layout(name)).unet
    assert config is not None
    source = unet_names(config)
    mapped = {source(each): tuple(value.shape) for each, value in unet_skeleton(config).state_dict().items()}
    assert mapped == shapes


@pytest.mark.parametrize("name", ["sd15", "sd21-v", "sdxl-base"])
def test_the_public_autoencoders_and_text_encoders_are_used_whole(name: str):
    shapes = layout(name)
    found = detect(shapes)
    assert isinstance(found.vae, VaeConfig)
    reads: list[str] = []

    class Zeros:
        def tensor(self, name: str) -> torch.Tensor:
            reads.append(name)
            return torch.zeros(shapes[name], device="meta")

        def close(self) -> None:
            return

    infos = {name: TensorInfo(shape, torch.float16) for name, shape in shapes.items()}
    file, place = CheckpointFile(Path("x"), infos, {}, Zeros()), Place(torch.device("meta"), torch.float32)
    for module in (build_vae(found.vae, file, place), build_clip(found.clip, [file] * len(found.clip), place)):
        held_by(module).hold(2**62)
    unused = ("model.", "cond_stage_model.model.logit_scale", "conditioner.embedders.1.model.logit_scale")
    assert set(reads) == {each for each in shapes if not each.startswith(unused)}


def test_reduced_models_map_one_to_one():
    names = [unet_names(tiny.UNET)(name) for name in tiny.unet_module().state_dict()]
    names += [vae_names(tiny.VAE)(name) for name in tiny.vae_module().state_dict()]
    names += [clip_names(tiny.CLIP)(name) for name in tiny.clip_module().state_dict()]
    assert len(names) == len(set(names))
