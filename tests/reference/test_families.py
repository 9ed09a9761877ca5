"""Full-size files of other families give the numbers that ComfyUI 0.3.64 recorded, in float32 on a CPU."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from diffusion import vae
from diffusion.inpaint import inpaint_conditioning
from diffusion.library import ModelLibrary
from diffusion.residency import Residency
from diffusion.sampling.ksampler import sample
from diffusion.text.encode import encode
from diffusion.values import ClipRef, Conditioning, Latent, ModelRef, VaeRef
from tests.reference import recipes
from tests.reference.test_models import NEGATIVE, POSITIVE, TOLERANCE, difference

pytestmark = pytest.mark.reference


class Loaded:
    """A file of a recipe, loaded on a CPU in float32."""

    def __init__(self, folder: Path, name: str) -> None:
        library = ModelLibrary(folder)
        self.file = library.resolve("checkpoints", f"{name}.safetensors")
        self.residency = Residency(library, "cpu", "fp32")

    def text(self, prompt: str) -> Conditioning:
        return encode(self.residency.clip(ClipRef((self.file,))), prompt)

    @property
    def vae(self) -> vae.Autoencoder:
        return self.residency.vae(VaeRef(self.file))

    def sample(self, latent: Latent, positive: Conditioning, negative: Conditioning, **settings: object) -> Latent:
        self.residency.free()  # the text encoders beside SDXL's U-Net would not fit on a small machine
        chosen = {"seed": 42, "steps": 3, "cfg": 7.5, "sampler": "euler", "scheduler": "normal"} | settings
        return sample(
            self.residency.unet(ModelRef(self.file)),
            latent=latent,
            positive=positive,
            negative=negative,
            **chosen,  # pyright: ignore[reportArgumentType]
        )


@pytest.fixture(scope="module")
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    folder = tmp_path_factory.mktemp("models")
    path = recipes.write(request.param, folder / "checkpoints" / f"{request.param}.safetensors")
    loaded = Loaded(folder, request.param)
    yield loaded
    loaded.residency.free()
    path.unlink()


@pytest.fixture(scope="module")
def recorded() -> dict[str, Tensor]:
    return load_file(recipes.DATA / "models.safetensors")


def check_picture(model: Loaded, name: str, latent: Latent, recorded: dict[str, Tensor]) -> None:
    assert difference(latent.samples, recorded[f"{name}/txt2img/latent"]) <= TOLERANCE
    model.residency.free()
    image = vae.decode(model.vae, latent)
    assert difference(image, recorded[f"{name}/txt2img/image"]) <= TOLERANCE
    assert float((image - recorded[f"{name}/txt2img/image"]).abs().max()) <= 1 / 255


@pytest.mark.parametrize("model", ["sd15-inpainting"], indirect=True)
def test_inpainting_matches(model: Loaded, recorded: dict[str, Tensor]):
    positive, negative, latent = inpaint_conditioning(
        model.vae,
        model.text("a red ball"),
        model.text(NEGATIVE),
        recorded["sd15/vae_encode/image"],
        recorded["sd15-inpainting/mask"],
        noise_mask=True,
    )
    result = model.sample(latent, positive, negative, seed=5)
    assert difference(result.samples, recorded["sd15-inpainting/latent"]) <= TOLERANCE


@pytest.mark.parametrize("model", ["sd21-v"], indirect=True)
def test_stable_diffusion_2_matches(model: Loaded, recorded: dict[str, Tensor]):
    positive, negative = model.text(POSITIVE), model.text(NEGATIVE)
    assert difference(positive.entries[0].embedding, recorded["sd21-v/text/cond"]) <= TOLERANCE
    latent = model.sample(Latent(torch.zeros(1, 4, 16, 16)), positive, negative)
    check_picture(model, "sd21-v", latent, recorded)


@pytest.mark.parametrize("model", ["sdxl-base"], indirect=True)
def test_sdxl_matches(model: Loaded, recorded: dict[str, Tensor]):
    positive, negative = model.text(POSITIVE), model.text(NEGATIVE)
    (entry,) = positive.entries
    assert entry.pooled is not None
    assert difference(entry.embedding, recorded["sdxl-base/text/cond"]) <= TOLERANCE
    assert difference(entry.pooled, recorded["sdxl-base/text/pooled"]) <= TOLERANCE
    latent = model.sample(Latent(torch.zeros(1, 4, 16, 16)), positive, negative, steps=2, cfg=7.0)
    check_picture(model, "sdxl-base", latent, recorded)
