from __future__ import annotations

from pathlib import Path

import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

from diffusion.checkpoint_file import CheckpointFile
from diffusion.detect import detect
from diffusion.keys import clip_names, unet_names, vae_names
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


def test_the_public_sd15_vae_and_text_encoder_are_used_whole():
    from diffusion.build import build_clip, build_vae

    shapes = layout("sd15")
    found = detect(shapes)
    assert found.vae is not None
    assert found.clip is not None
    reads: list[str] = []

    class Zeros:
        def tensor(self, name: str) -> torch.Tensor:
            reads.append(name)
            return torch.zeros(shapes[name], device="meta")

        def close(self) -> None:
            return

    infos = {name: TensorInfo(shape, torch.float16) for name, shape in shapes.items()}
    file = CheckpointFile(Path("x"), infos, {}, Zeros())
    build_vae(found.vae, file, torch.device("meta"), torch.float32)
    build_clip(found.clip, file, torch.device("meta"), torch.float32)
    assert set(reads) == {name for name in shapes if not name.startswith("model.")}


def test_reduced_models_map_one_to_one():
    names = [unet_names(tiny.UNET)(name) for name in tiny.unet_module().state_dict()]
    names += [vae_names(tiny.VAE)(name) for name in tiny.vae_module().state_dict()]
    names += [clip_names(name) for name in tiny.clip_module().state_dict()]
    assert len(names) == len(set(names))
