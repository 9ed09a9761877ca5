from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from diffusion import latents
from diffusion.errors import BadSize, CorruptFile
from diffusion.values import Latent


def test_an_empty_latent_has_one_cell_for_eight_pixels():
    assert latents.empty(128, 64, 2).samples.shape == (2, 4, 8, 16)


def test_what_is_left_of_a_cell_is_dropped():
    assert latents.empty(135, 1080, 1).samples.shape == (1, 4, 135, 16)


@pytest.mark.parametrize(("width", "height", "blamed"), [(0, 64, "width"), (64, 7, "height"), (64, -8, "height")])
def test_a_side_under_one_cell_is_blamed(width: int, height: int, blamed: str):
    with pytest.raises(BadSize) as caught:
        latents.empty(width, height, 1)
    assert caught.value.input == blamed
    assert caught.value.hint


@pytest.mark.parametrize("method", latents.LATENT_METHODS)
def test_every_method_gives_the_size_asked_for(method: str):
    latent = Latent(torch.randn(2, 4, 8, 6), batch_index=(3, 5))
    scaled = latents.resize(latent, 128, 96, method, "disabled")
    assert scaled.samples.shape == (2, 4, 12, 16)
    assert scaled.batch_index == (3, 5)
    assert bool(torch.isfinite(scaled.samples).all())


def test_zero_keeps_the_proportions():
    latent = Latent(torch.zeros(1, 4, 8, 16))
    assert latents.resize(latent, 0, 128, "area", "disabled").samples.shape == (1, 4, 16, 32)
    assert latents.resize(latent, 0, 0, "area", "disabled") is latent


def test_a_factor_rounds_to_cells():
    assert latents.resize_by(Latent(torch.zeros(1, 4, 5, 7)), 1.5, "area").samples.shape == (1, 4, 8, 10)
    with pytest.raises(BadSize):
        latents.resize_by(Latent(torch.zeros(1, 4, 5, 7)), 0.01, "area")


def test_bislerp_keeps_the_length_of_vectors_of_equal_length():
    torch.manual_seed(0)
    samples = torch.nn.functional.normalize(torch.randn(1, 4, 6, 6), dim=1) * 3
    scaled = latents.resize_by(Latent(samples), 2.0, "bislerp").samples
    assert torch.allclose(scaled.norm(dim=1), torch.tensor(3.0), atol=1e-4)


def test_bislerp_leaves_a_flat_latent_and_zeros_alone():
    flat = torch.tensor([1.0, -2.0, 0.5, 3.0]).reshape(1, 4, 1, 1).expand(1, 4, 5, 5)
    scaled = latents.resize_by(Latent(flat), 1.6, "bislerp").samples
    assert torch.allclose(scaled, flat[:, :, :1, :1].expand_as(scaled), atol=1e-5)
    assert latents.resize_by(Latent(torch.zeros(1, 4, 3, 3)), 2.0, "bislerp").samples.abs().max() == 0


def test_a_saved_latent_comes_back(tmp_path: Path):
    latent = Latent(torch.randn(1, 4, 2, 3))
    latents.save(latent, tmp_path / "a.latent", {"prompt": {"1": {}}})
    assert torch.equal(latents.load(tmp_path / "a.latent").samples, latent.samples)
    with safe_open(str(tmp_path / "a.latent"), "pt") as file:
        assert json.loads(file.metadata()["prompt"]) == {"1": {}}
        assert torch.equal(file.get_tensor("latent_tensor"), latent.samples)


def test_a_latent_of_the_first_format_is_scaled_back(tmp_path: Path):
    save_file({"latent_tensor": torch.full((1, 4, 2, 2), 0.18215)}, tmp_path / "old.latent")
    assert torch.allclose(latents.load(tmp_path / "old.latent").samples, torch.tensor(1.0))


def test_a_file_without_a_latent_is_refused(tmp_path: Path):
    save_file({"x": torch.zeros(1)}, tmp_path / "x.latent")
    with pytest.raises(CorruptFile, match="latent_tensor"):
        latents.load(tmp_path / "x.latent")
