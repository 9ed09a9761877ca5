from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from safetensors import safe_open

from training.export import TEXT_PREFIX, UNET_PREFIX, VAE_PREFIX, fit_latent_rgb, write_checkpoint
from training.model import ATTENTION, build_text, build_unet, compact_ids, training_vocabulary
from training.naming import to_diffusers, to_ldm, unet_modules, vae_modules
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


def _part(state: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {k.removeprefix(prefix): v.float() for k, v in state.items() if k.startswith(prefix)}


def test_renaming_there_and_back_gives_the_same_weights(unet: Any, vae: Any) -> None:
    for module, names in ((unet, unet_modules(ATTENTION, 1)), (vae, vae_modules(4, 1))):
        state = module.state_dict()
        back = to_diffusers(to_ldm(state, names), names)
        assert back.keys() == state.keys()
        assert all(torch.equal(back[k], state[k]) for k in state)


def test_a_weight_without_a_place_is_an_error() -> None:
    with pytest.raises(KeyError, match=r"surprise\.weight"):
        to_ldm({"surprise.weight": torch.zeros(1)}, unet_modules(ATTENTION, 1))


def test_names_are_those_of_the_original_files(unet: Any, vae: Any) -> None:
    names = set(to_ldm(unet.state_dict(), unet_modules(ATTENTION, 1)))
    assert {
        "time_embed.0.weight",
        "input_blocks.0.0.weight",
        "input_blocks.3.1.transformer_blocks.0.attn2.to_k.weight",
        "input_blocks.2.0.op.weight",
        "middle_block.1.proj_in.weight",
        "output_blocks.1.1.conv.weight",
        "output_blocks.3.2.conv.weight",
        "out.2.bias",
    } <= names
    state = to_ldm(vae.state_dict(), vae_modules(4, 1))
    assert state["encoder.mid.attn_1.q.weight"].ndim == 4
    assert "decoder.up.3.block.0.conv1.weight" in state
    assert "encoder.down.0.downsample.conv.weight" in state


def test_a_written_file_reads_back_as_the_same_model(unet: Any, vae: Any, tmp_path: Path) -> None:
    torch.manual_seed(2)
    text = build_text(training_vocabulary(), 16).eval()
    path = tmp_path / "tiny.safetensors"
    latent_rgb = fit_latent_rgb(vae, torch.rand(8, 3, 64, 64) * 2 - 1)
    write_checkpoint(path, unet, vae, text, latent_rgb, {"step": 1})
    with safe_open(path, "pt") as file:
        state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
        metadata = file.metadata()
    assert {v.dtype for v in state.values() if v.is_floating_point()} == {torch.float16}
    assert len(json.loads(metadata["latent_rgb"])["factors"]) == 4
    loaded_unet: Any = build_unet((16, 16, 32, 32), 16).eval()
    loaded_unet.load_state_dict(to_diffusers(_part(state, UNET_PREFIX), unet_modules(ATTENTION, 1)))
    latents, context = torch.randn(1, 4, 16, 16), torch.randn(1, 77, 16)
    with torch.no_grad():
        expected = unet(latents, 500, context, return_dict=False)[0]
        got = loaded_unet(latents, 500, context, return_dict=False)[0]
    assert torch.allclose(got, expected, atol=5e-3)
    whole: Any = build_text(49408, 16).eval()
    weights = {k: v for k, v in _part(state, TEXT_PREFIX).items() if k != "embeddings.position_ids"}
    prefix = "text_model." if next(iter(whole.state_dict())).startswith("text_model.") else ""
    whole.load_state_dict({prefix + k: v for k, v in weights.items()})
    ids = torch.tensor([token_ids("a red boat, xylophone")])
    with torch.no_grad():
        compact = text(torch.from_numpy(compact_ids().astype("int64"))[ids], return_dict=False)[0]
        assert torch.allclose(whole(ids, return_dict=False)[0], compact, atol=2e-2)
    assert VAE_PREFIX + "post_quant_conv.weight" in state


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
