from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

from diffusion.checkpoint_file import open_checkpoint
from diffusion.keys import diffusers_unet_names
from diffusion.library import ModelLibrary
from diffusion.residency import Residency
from diffusion.values import ClipRef, ModelRef, VaeRef
from training.export import fit_latent_rgb, renamed, single_file_state, write_checkpoint
from training.model import ATTENTION, build_text, build_unet, compact_ids, training_vocabulary
from training.tokenizer import token_ids


@pytest.fixture(scope="module")
def unet() -> Any:
    torch.manual_seed(0)
    return build_unet((16, 16, 32, 32), 16).eval()


@pytest.fixture(scope="module")
def vae() -> Any:
    torch.manual_seed(1)
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
    build: Any = AutoencoderKL
    return build(**blocks, block_out_channels=(8, 8, 16, 16), layers_per_block=1, norm_num_groups=2).eval()


def test_a_weight_without_a_place_is_an_error(vae: Any) -> None:
    with pytest.raises(KeyError, match=r"encoder\.conv_in"):
        renamed(vae, "", diffusers_unet_names(4, 1, ATTENTION[::-1]))


def test_names_are_those_of_the_original_files(unet: Any, vae: Any) -> None:
    state = single_file_state(unet, vae, build_text(training_vocabulary(), 16))
    assert {
        "model.diffusion_model.time_embed.0.weight",
        "model.diffusion_model.input_blocks.0.0.weight",
        "model.diffusion_model.input_blocks.3.1.transformer_blocks.0.attn2.to_k.weight",
        "model.diffusion_model.input_blocks.2.0.op.weight",
        "model.diffusion_model.middle_block.1.proj_in.weight",
        "model.diffusion_model.output_blocks.1.1.conv.weight",
        "model.diffusion_model.output_blocks.3.2.conv.weight",
        "model.diffusion_model.out.2.bias",
        "first_stage_model.decoder.up.3.block.0.conv1.weight",
        "first_stage_model.encoder.down.0.downsample.conv.weight",
        "cond_stage_model.transformer.text_model.final_layer_norm.weight",
    } <= set(state)
    assert state["first_stage_model.encoder.mid.attn_1.q.weight"].ndim == 4


@torch.no_grad()
def test_a_written_file_reads_back_as_the_same_model(unet: Any, vae: Any, tmp_path: Path) -> None:
    torch.manual_seed(2)
    text = build_text(training_vocabulary(), 16).eval()
    path = tmp_path / "checkpoints" / "tiny.safetensors"
    latent_rgb = fit_latent_rgb(vae, torch.rand(8, 3, 64, 64) * 2 - 1)
    write_checkpoint(path, unet, vae, text, latent_rgb, {"step": 1})
    with open_checkpoint(path) as file:
        assert {each.dtype for each in file.tensors.values()} == {torch.float16, torch.int64}
        assert len(json.loads(file.metadata["latent_rgb"])["factors"]) == 4
    library = ModelLibrary(tmp_path)
    written = library.resolve("checkpoints", path.name)
    config = library.sidecar(written)
    residency = Residency(library, "cpu", "fp32")
    latents, context = torch.randn(1, 4, 16, 16), torch.randn(1, 77, 16)
    expected = unet(latents, 500, context, return_dict=False)[0]
    got = residency.unet(ModelRef(written, config)).predict(latents, torch.tensor([500.0]), context)
    assert torch.allclose(got, expected, atol=5e-3)
    (tower,) = residency.clip(ClipRef((written,), config)).towers
    ids = torch.tensor([token_ids("a red boat, xylophone")])
    compact = text(torch.from_numpy(compact_ids().astype("int64"))[ids], return_dict=False)[0]
    assert torch.allclose(tower.encode_tokens(ids)[0], compact, atol=2e-2)
    pictures = torch.rand(1, 3, 64, 64) * 2 - 1
    means = vae.encode(pictures).latent_dist.mode()
    assert torch.allclose(residency.vae(VaeRef(written, config)).encode_pixels(pictures), means, atol=5e-3)


def test_the_config_tells_what_shapes_cannot(unet: Any, vae: Any, tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    write_checkpoint(path, unet, vae, build_text(training_vocabulary(), 16), {}, {})
    params = yaml.safe_load(path.with_suffix(".yaml").read_text())["model"]["params"]
    assert params["scale_factor"] == 0.18215
    assert params["unet_config"]["params"]["num_heads"] == 2
    assert params["unet_config"]["params"]["channel_mult"] == [1, 1, 2, 2]
    assert params["unet_config"]["params"]["attention_resolutions"] == [4, 2]
    assert params["first_stage_config"]["params"]["ddconfig"]["norm_num_groups"] == 2
    assert params["cond_stage_config"]["params"]["hidden_act"] == "quick_gelu"


def test_the_latent_preview_is_the_least_squares_map(vae: Any) -> None:
    fitted = fit_latent_rgb(vae, torch.full((4, 3, 64, 64), 0.5))
    assert len(fitted["factors"]) == 4
    assert len(fitted["bias"]) == 3
