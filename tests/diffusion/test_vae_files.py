"""Autoencoders alone in a file, in each layout: what they are taken for, and that they compute right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny
from torch import Tensor

from diffusion.architecture import TinyVaeConfig, VaeConfig
from diffusion.errors import MissingComponent
from diffusion.keys import diffusers_vae_names
from diffusion.library import ModelLibrary
from diffusion.residency import Residency
from diffusion.values import VaeRef
from tests.diffusion import tiny
from tests.diffusion.model_files import save
from tests.reference.recipes import weights


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("autoencoders")


@pytest.fixture(scope="module")
def residency(folder: Path) -> Residency:
    return Residency(ModelLibrary(folder), "cpu", "fp32")


@pytest.mark.parametrize("old", [False, True])
def test_a_vae_alone_is_read_in_diffusers_layout_new_and_old(residency: Residency, folder: Path, old: bool):
    module: Any = tiny.vae_module()
    names = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    tensors = module.state_dict()
    if old:
        for new, other in names.items():
            tensors = {
                name.replace(f".{new}.", f".{other}.") if ".attentions." in name else name: value
                for name, value in tensors.items()
            }
    vae = residency.vae(VaeRef(save(folder, "vae", f"{old}.safetensors", dict(tensors))))
    assert isinstance(vae.config, VaeConfig)
    latent = torch.ones(1, 4, 4, 4)
    assert torch.allclose(vae.decode_latent(latent), module.decode(latent).sample.detach(), atol=1e-6)


def taesd(side: str) -> dict[str, Tensor]:
    module = AutoencoderTiny()
    shift = 1 if side == "decoder" else 0
    found: dict[str, Tensor] = {}
    for name, value in module.get_submodule(side).state_dict().items():
        place, _, rest = name.removeprefix("layers.").partition(".")
        key = f"{int(place) + shift}.{rest}"
        found[key] = weights(key, tuple(value.shape))
    return found


@torch.no_grad()
def test_a_tiny_vae_comes_in_two_files_and_works_in_the_scale_of_the_unet(residency: Residency, folder: Path):
    save(folder, "vae_approx", "taesd_decoder.safetensors", taesd("decoder"))
    save(folder, "vae_approx", "taesd_encoder.safetensors", taesd("encoder"))
    library = ModelLibrary(folder)
    assert "taesd" in [entry.name for entry in library.list("vae")]
    file = library.resolve("vae", "taesd")
    vae = residency.vae(VaeRef(file, encoder=library.tiny_encoder(file)))
    assert vae.config == TinyVaeConfig(4, 0.18215, "", "")
    theirs = AutoencoderTiny()
    theirs.encoder.load_state_dict({f"layers.{name}": value for name, value in taesd("encoder").items()})
    shifted: dict[str, Tensor] = {}
    for name, value in taesd("decoder").items():
        place, _, rest = name.partition(".")
        shifted[f"layers.{int(place) - 1}.{rest}"] = value
    theirs.decoder.load_state_dict(shifted)
    pixels, latent = torch.rand(1, 3, 16, 16) * 2 - 1, torch.randn(1, 4, 2, 2)
    assert torch.allclose(vae.encode_pixels(pixels) * 0.18215, theirs.encoder(pixels), atol=1e-5)
    assert torch.allclose(vae.decode_latent(latent), theirs.decoder(latent * 0.18215), atol=1e-5)
    with pytest.raises(MissingComponent, match="encodes"):
        residency.vae(VaeRef(file)).encode_pixels(pixels)


@torch.no_grad()
def test_a_tiny_vae_in_one_file_may_state_the_scale_and_shift_of_its_latents(residency: Residency, folder: Path):
    whole = {f"taesd_{side}.{name}": value for side in ("encoder", "decoder") for name, value in taesd(side).items()}
    stated = {"vae_scale": torch.tensor(0.5), "vae_shift": torch.tensor(-0.25)}
    plain = residency.vae(VaeRef(save(folder, "vae", "tiny.safetensors", whole)))
    vae = residency.vae(VaeRef(save(folder, "vae", "stated.safetensors", {**whole, **stated})))
    assert plain.config == TinyVaeConfig(4, 0.18215, "taesd_encoder.", "taesd_decoder.")
    assert vae.config == replace(plain.config, scale=0.5, shift=-0.25)
    pixels, latent = torch.rand(1, 3, 16, 16) * 2 - 1, torch.randn(1, 4, 2, 2)
    unscaled = plain.encode_pixels(pixels) * 0.18215
    assert torch.allclose(vae.encode_pixels(pixels), unscaled / 0.5 - 0.25, atol=1e-5)
    expected = plain.decode_latent((latent + 0.25) * 0.5 / 0.18215)
    assert torch.allclose(vae.decode_latent(latent), expected, atol=1e-5)


def test_the_public_vae_names_map_one_to_one():
    place = diffusers_vae_names(4, 1)
    names = [place(name) for name in tiny.vae_module().state_dict()]
    assert len(names) == len(set(names))
