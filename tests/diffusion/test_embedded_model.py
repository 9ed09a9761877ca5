"""The checkpoint that comes with the program loads by its own config and makes a picture."""

from __future__ import annotations

import pytest
import torch

from diffusion import vae
from diffusion.latents import empty
from diffusion.library import ModelLibrary
from diffusion.preview import SD1_LATENT_RGB
from diffusion.residency import Residency
from diffusion.sampling.ksampler import sample
from diffusion.text.encode import encode
from diffusion.values import ClipRef, ModelRef, VaeRef
from tests.conftest import ROOT

NAME = "storybook-tiny.safetensors"


@pytest.fixture(scope="module")
def residency() -> Residency:
    return Residency(ModelLibrary(ROOT / "models"), "cpu", "fp32")


def test_it_is_small_enough_to_ship_and_has_its_config_beside_it(residency: Residency):
    (entry,) = (each for each in residency.library.list("checkpoints") if each.name == NAME)
    assert entry.size <= 48_000_000
    assert residency.library.sidecar(residency.library.resolve("checkpoints", NAME)) is not None


def test_it_makes_a_picture(residency: Residency):
    file = residency.library.resolve("checkpoints", NAME)
    config = residency.library.sidecar(file)
    unet, clip = residency.unet(ModelRef(file, config)), residency.clip(ClipRef((file,), config))
    latent = sample(
        unet,
        latent=empty(128, 128, 1),
        positive=encode(clip, "a red house in a meadow"),
        negative=encode(clip, ""),
        seed=1,
        steps=6,
        cfg=4.0,
        sampler="dpmpp_2m",
        scheduler="karras",
    )
    image = vae.decode(residency.vae(VaeRef(file, config)), latent)
    assert image.shape == (1, 128, 128, 3)
    assert bool(torch.isfinite(image).all())
    assert float(image.std()) > 0.01


def test_it_carries_the_preview_map_that_was_fitted_for_it(residency: Residency):
    file = residency.library.resolve("checkpoints", NAME)
    unet = residency.unet(ModelRef(file, residency.library.sidecar(file)))
    assert unet.latent_rgb != SD1_LATENT_RGB


def test_it_is_the_same_model_without_its_config(residency: Residency):
    file = residency.library.resolve("checkpoints", NAME)
    assert residency.describe(file, None) == residency.describe(file, residency.library.sidecar(file))
