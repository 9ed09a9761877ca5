"""A full-size Stable Diffusion 1.5 file gives the numbers that ComfyUI 0.3.64 recorded, in float32 on a CPU."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from diffusion import vae
from diffusion.control.uses import with_use
from diffusion.library import ModelLibrary
from diffusion.residency import Residency
from diffusion.sampling.ksampler import sample
from diffusion.text.encode import encode
from diffusion.values import (
    ClipRef,
    Conditioning,
    ControlNetRef,
    ControlUse,
    FileRef,
    Latent,
    LoraPatch,
    ModelRef,
    VaeRef,
)
from tests.reference import recipes

pytestmark = pytest.mark.reference

TOLERANCE = 1e-4
POSITIVE = "a photograph of an astronaut riding a horse"
NEGATIVE = "blurry"
PROMPTS = {
    "plain": POSITIVE,
    "weights": r"a ((red)) (circle:1.4) on [grey] (paper:0.6), \(escaped\)",
    "empty": "",
    "long": " ".join(f"word{index} and a lighthouse on a cliff," for index in range(20)),
}


class Sd15:
    """The file, loaded on a CPU in float32."""

    def __init__(self, folder: Path) -> None:
        library = ModelLibrary(folder)
        self.file: FileRef = library.resolve("checkpoints", "sd15.safetensors")
        self.residency = Residency(library, "cpu", "fp32")

    def text(self, prompt: str, stop_at_layer: int | None = None, patches: tuple[LoraPatch, ...] = ()) -> Conditioning:
        return encode(self.residency.clip(ClipRef((self.file,), None, patches, stop_at_layer)), prompt)

    def sample(self, latent: Latent, patches: tuple[LoraPatch, ...] = (), **settings: object) -> Latent:
        chosen = {"seed": 42, "steps": 3, "cfg": 7.5, "sampler": "euler", "scheduler": "normal"} | settings
        chosen = {"positive": self.text(POSITIVE), "negative": self.text(NEGATIVE)} | chosen
        return sample(
            self.residency.unet(ModelRef(self.file, None, patches)),
            latent=latent,
            **chosen,  # pyright: ignore[reportArgumentType]
        )

    def extra(self, kind: str, layout: str, name: str) -> FileRef:
        """A further file, of another layout."""
        library = self.residency.library
        recipes.write(layout, library.models_dir / kind / f"{name}.safetensors")
        return library.resolve(kind, f"{name}.safetensors")

    def decode(self, latent: Latent) -> Tensor:
        return vae.decode(self.residency.vae(VaeRef(self.file)), latent)

    def encode(self, image: Tensor) -> Latent:
        return vae.encode(self.residency.vae(VaeRef(self.file)), image)


@pytest.fixture(scope="module")
def sd15(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sd15]:
    folder = tmp_path_factory.mktemp("models")
    path = recipes.write("sd15", folder / "checkpoints" / "sd15.safetensors")
    model = Sd15(folder)
    yield model
    model.residency.free()
    path.unlink()


@pytest.fixture(scope="module")
def recorded() -> dict[str, Tensor]:
    return load_file(recipes.DATA / "models.safetensors")


def difference(ours: Tensor, theirs: Tensor) -> float:
    """‖a−b‖/‖b‖."""
    assert ours.shape == theirs.shape
    return float((ours - theirs).norm() / theirs.norm())


@pytest.mark.parametrize("case", PROMPTS)
def test_text_encoding_matches(sd15: Sd15, recorded: dict[str, Tensor], case: str):
    entry = sd15.text(PROMPTS[case]).entries[0]
    assert difference(entry.embedding, recorded[f"sd15/text/{case}/cond"]) <= TOLERANCE
    assert entry.pooled is not None
    assert difference(entry.pooled, recorded[f"sd15/text/{case}/pooled"]) <= TOLERANCE


def test_text_encoding_two_layers_from_the_end_matches(sd15: Sd15, recorded: dict[str, Tensor]):
    entry = sd15.text(POSITIVE, stop_at_layer=-2).entries[0]
    assert difference(entry.embedding, recorded["sd15/text/clip_skip_2/cond"]) <= TOLERANCE


def test_encoding_a_picture_matches(sd15: Sd15, recorded: dict[str, Tensor]):
    latent = sd15.encode(recorded["sd15/vae_encode/image"])
    assert difference(latent.samples, recorded["sd15/vae_encode/latent"]) <= TOLERANCE


def test_text_to_image_matches(sd15: Sd15, recorded: dict[str, Tensor]):
    latent = sd15.sample(Latent(torch.zeros(1, 4, 16, 16)))
    assert difference(latent.samples, recorded["sd15/txt2img/latent"]) <= TOLERANCE
    image = sd15.decode(latent)
    assert difference(image, recorded["sd15/txt2img/image"]) <= TOLERANCE
    assert float((image - recorded["sd15/txt2img/image"]).abs().max()) <= 1 / 255


def test_image_to_image_matches(sd15: Sd15, recorded: dict[str, Tensor]):
    start = sd15.encode(recorded["sd15/vae_encode/image"])
    latent = sd15.sample(start, seed=7, steps=4, cfg=6.0, denoise=0.5)
    assert difference(latent.samples, recorded["sd15/img2img_denoise_0.5/latent"]) <= TOLERANCE


def test_a_batch_of_another_shape_and_sampler_matches(sd15: Sd15, recorded: dict[str, Tensor]):
    latent = sd15.sample(Latent(torch.zeros(2, 4, 8, 16)), sampler="dpmpp_2m", scheduler="karras")
    assert difference(latent.samples, recorded["sd15/txt2img_batch2_128x64_dpmpp_2m_karras/latent"]) <= TOLERANCE


def test_a_lora_matches(sd15: Sd15, recorded: dict[str, Tensor]):
    lora = sd15.extra("loras", "lora-sd15", "lora")
    positive, negative = (sd15.text(each, patches=(LoraPatch(lora, 0.6),)) for each in (POSITIVE, NEGATIVE))
    assert difference(positive.entries[0].embedding, recorded["sd15/lora_0.8_0.6/cond"]) <= TOLERANCE
    start = Latent(torch.zeros(1, 4, 16, 16))
    latent = sd15.sample(start, (LoraPatch(lora, 0.8),), positive=positive, negative=negative)
    assert difference(latent.samples, recorded["sd15/lora_0.8_0.6/latent"]) <= TOLERANCE


def test_an_embedding_matches(sd15: Sd15, recorded: dict[str, Tensor]):
    sd15.extra("embeddings", "embedding-sd15", "recipe")
    entry = sd15.text("a photo of embedding:recipe on a table").entries[0]
    assert difference(entry.embedding, recorded["sd15/text/embedding/cond"]) <= TOLERANCE
    assert entry.pooled is not None
    assert difference(entry.pooled, recorded["sd15/text/embedding/pooled"]) <= TOLERANCE


def test_a_control_network_matches(sd15: Sd15, recorded: dict[str, Tensor]):
    net = ControlNetRef(sd15.extra("controlnet", "controlnet-sd15", "control"))
    use = ControlUse(net, recorded["sd15/controlnet_0.7/hint"], 0.7)
    positive, negative = (with_use(sd15.text(each), use) for each in (POSITIVE, NEGATIVE))
    latent = sd15.sample(Latent(torch.zeros(1, 4, 16, 16)), positive=positive, negative=negative)
    assert difference(latent.samples, recorded["sd15/controlnet_0.7/latent"]) <= TOLERANCE
