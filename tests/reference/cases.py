"""What ComfyUI 0.3.64 recorded of full-size checkpoints (`data/models.safetensors`), and how the same is computed here.

A case names the arrays of the recordings that it gives. Each runs on one model, loaded in float32 on a CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from diffusion import vae
from diffusion.control.uses import with_use
from diffusion.inpaint import inpaint_conditioning
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

RECORDINGS = recipes.DATA / "models.safetensors"

POSITIVE = "a photograph of an astronaut riding a horse"
NEGATIVE = "blurry"
PROMPTS = {
    "plain": POSITIVE,
    "weights": r"a ((red)) (circle:1.4) on [grey] (paper:0.6), \(escaped\)",
    "empty": "",
    "long": " ".join(f"word{index} and a lighthouse on a cliff," for index in range(20)),
    "embedding": "a photo of embedding:recipe on a table",
}
_IMAGE, _MASK, _HINT = "sd15/vae_encode/image", "sd15-inpainting/mask", "sd15/controlnet_0.7/hint"
GIVEN = frozenset({_MASK, _HINT, _IMAGE})
"""Recordings that are what a case starts from, not what it gives."""

Recorded = Mapping[str, Tensor]


class Model:
    """The checkpoint of a recipe, and the files that belong to it."""

    def __init__(self, folder: Path, layout: str) -> None:
        recipes.write(layout, folder / "checkpoints" / f"{layout}.safetensors")
        library = ModelLibrary(folder)
        self.file = library.resolve("checkpoints", f"{layout}.safetensors")
        self.residency = Residency(library, "cpu", "fp32")

    def extra(self, kind: str, layout: str, name: str) -> FileRef:
        """A further file, of another layout."""
        library = self.residency.library
        recipes.write(layout, library.models_dir / kind / f"{name}.safetensors")
        return library.resolve(kind, f"{name}.safetensors")

    def text(self, prompt: str, stop_at_layer: int | None = None, patches: tuple[LoraPatch, ...] = ()) -> Conditioning:
        return encode(self.residency.clip(ClipRef((self.file,), None, patches, stop_at_layer)), prompt)

    def sample(self, latent: Latent, patches: tuple[LoraPatch, ...] = (), **settings: object) -> Tensor:
        """The latent that a sampler makes, by default as most recordings were made."""
        chosen = {"seed": 42, "steps": 3, "cfg": 7.5, "sampler": "euler", "scheduler": "normal"} | settings
        if "positive" not in chosen:
            chosen |= {"positive": self.text(POSITIVE), "negative": self.text(NEGATIVE)}
        self.residency.free()  # the text encoders beside SDXL's U-Net would not fit on a small machine
        return sample(
            self.residency.unet(ModelRef(self.file, None, patches)),
            latent=latent,
            **chosen,  # pyright: ignore[reportArgumentType]
        ).samples

    def encode(self, image: Tensor) -> Latent:
        return vae.encode(self.vae, image)

    def decode(self, samples: Tensor) -> Tensor:
        self.residency.free()
        return vae.decode(self.vae, Latent(samples))

    @property
    def vae(self) -> vae.Autoencoder:
        return self.residency.vae(VaeRef(self.file))


@dataclass(frozen=True, slots=True)
class Case:
    """Gives the arrays called `keys`, in order, with the model of a layout."""

    layout: str
    keys: tuple[str, ...]
    run: Callable[[Model, Recorded], tuple[Tensor, ...]]


def _empty(width: int = 128, height: int = 128, count: int = 1) -> Latent:
    return Latent(torch.zeros(count, 4, height // 8, width // 8))


def _embeddings(conditioning: Conditioning) -> tuple[Tensor, ...]:
    (entry,) = conditioning.entries
    assert entry.pooled is not None
    return entry.embedding, entry.pooled


def _prompt(name: str) -> Case:
    def run(model: Model, _: Recorded) -> tuple[Tensor, ...]:
        if name == "embedding":
            model.extra("embeddings", "embedding-sd15", "recipe")
        return _embeddings(model.text(PROMPTS[name]))

    return Case("sd15", (f"sd15/text/{name}/cond", f"sd15/text/{name}/pooled"), run)


def _clip_skip(model: Model, _: Recorded) -> tuple[Tensor, ...]:
    return _embeddings(model.text(POSITIVE, stop_at_layer=-2))[:1]


def _vae_encode(model: Model, recorded: Recorded) -> tuple[Tensor, ...]:
    return (model.encode(recorded[_IMAGE]).samples,)


def _picture(model: Model, _: Recorded) -> tuple[Tensor, ...]:
    samples = model.sample(_empty())
    return samples, model.decode(samples)


def _picture_of_two_steps(model: Model, _: Recorded) -> tuple[Tensor, ...]:
    samples = model.sample(_empty(), steps=2, cfg=7.0)
    return samples, model.decode(samples)


def _image_to_image(model: Model, recorded: Recorded) -> tuple[Tensor, ...]:
    return (model.sample(model.encode(recorded[_IMAGE]), seed=7, steps=4, cfg=6.0, denoise=0.5),)


def _batch(model: Model, _: Recorded) -> tuple[Tensor, ...]:
    return (model.sample(_empty(128, 64, 2), sampler="dpmpp_2m", scheduler="karras"),)


def _lora(model: Model, _: Recorded) -> tuple[Tensor, ...]:
    lora = model.extra("loras", "lora-sd15", "lora")
    positive, negative = (model.text(each, patches=(LoraPatch(lora, 0.6),)) for each in (POSITIVE, NEGATIVE))
    samples = model.sample(_empty(), (LoraPatch(lora, 0.8),), positive=positive, negative=negative)
    return positive.entries[0].embedding, samples


def _control(model: Model, recorded: Recorded) -> tuple[Tensor, ...]:
    use = ControlUse(ControlNetRef(model.extra("controlnet", "controlnet-sd15", "control")), recorded[_HINT], 0.7)
    positive, negative = (with_use(model.text(each), use) for each in (POSITIVE, NEGATIVE))
    return (model.sample(_empty(), positive=positive, negative=negative),)


def _inpainting(model: Model, recorded: Recorded) -> tuple[Tensor, ...]:
    positive, negative, latent = inpaint_conditioning(
        model.vae, model.text("a red ball"), model.text(NEGATIVE), recorded[_IMAGE], recorded[_MASK], noise_mask=True
    )
    return (model.sample(latent, positive=positive, negative=negative, seed=5),)


def _encoded(count: int) -> Callable[[Model, Recorded], tuple[Tensor, ...]]:
    return lambda model, _: _embeddings(model.text(POSITIVE))[:count]


CASES = (
    *(_prompt(name) for name in PROMPTS),
    Case("sd15", ("sd15/text/clip_skip_2/cond",), _clip_skip),
    Case("sd15", ("sd15/vae_encode/latent",), _vae_encode),
    Case("sd15", ("sd15/txt2img/latent", "sd15/txt2img/image"), _picture),
    Case("sd15", ("sd15/img2img_denoise_0.5/latent",), _image_to_image),
    Case("sd15", ("sd15/txt2img_batch2_128x64_dpmpp_2m_karras/latent",), _batch),
    Case("sd15", ("sd15/lora_0.8_0.6/cond", "sd15/lora_0.8_0.6/latent"), _lora),
    Case("sd15", ("sd15/controlnet_0.7/latent",), _control),
    Case("sd15-inpainting", ("sd15-inpainting/latent",), _inpainting),
    Case("sd21-v", ("sd21-v/text/cond",), _encoded(1)),
    Case("sd21-v", ("sd21-v/txt2img/latent", "sd21-v/txt2img/image"), _picture),
    Case("sdxl-base", ("sdxl-base/text/cond", "sdxl-base/text/pooled"), _encoded(2)),
    Case("sdxl-base", ("sdxl-base/txt2img/latent", "sdxl-base/txt2img/image"), _picture_of_two_steps),
)
"""All cases, those of one model next to each other."""
