"""What `bench/diffusion.py` measures: this project's way from a checkpoint to a picture, and diffusers' own."""

from __future__ import annotations

from pathlib import Path
from typing import Any


class Ours:
    """The project's own way from a checkpoint to a picture."""

    def __init__(self, residency: Any, checkpoint: Path) -> None:
        from diffusion.values import ClipRef, ModelRef, VaeRef

        self.residency = residency
        file = residency.library.resolve("checkpoints", checkpoint.name)
        self.model, self.clip, self.vae = ModelRef(file), ClipRef((file,)), VaeRef(file)

    def load(self) -> None:
        self.residency.clip(self.clip)
        self.residency.unet(self.model)
        self.residency.vae(self.vae)

    def encode(self, prompt: str) -> Any:
        from diffusion.text.encode import encode

        return encode(self.residency.clip(self.clip), prompt)

    def sample(self, positive: Any, negative: Any, size: int, steps: int, batch: int = 1) -> Any:
        from diffusion.latents import empty
        from diffusion.sampling.ksampler import sample

        return sample(
            self.residency.unet(self.model),
            latent=empty(size, size, batch),
            positive=positive,
            negative=negative,
            seed=42,
            steps=steps,
            cfg=7.5,
            sampler="euler",
            scheduler="normal",
        )

    def decode(self, latent: Any) -> Any:
        from diffusion.vae import decode

        return decode(self.residency.vae(self.vae), latent)


def ours(checkpoint: Path, device: str = "cpu", compiler: Any = None) -> Ours:
    from diffusion.library import ModelLibrary
    from diffusion.residency import Residency

    return Ours(Residency(ModelLibrary(checkpoint.parent.parent), device, compiler=compiler), checkpoint)


def diffusers_pipeline(checkpoint: Path, dtype: Any, device: str = "cpu", *, best: bool = False) -> Any:
    """diffusers' pipeline around the weights of a checkpoint; `best` puts the channels last."""
    import diffusers
    import torch

    from diffusion.architecture import VaeConfig
    from diffusion.build import reads, unet_skeleton, unet_source, vae_skeleton, vae_source
    from diffusion.checkpoint_file import open_checkpoint
    from diffusion.detect import detect_file

    with open_checkpoint(checkpoint) as file:
        found = detect_file(file, None)
        assert found.unet is not None
        assert isinstance(found.vae, VaeConfig)
        parts: list[Any] = []
        module: Any
        for module, source in (
            (unet_skeleton(found.unet), unet_source(found.unet, file, use_ema=False)),
            (vae_skeleton(found.vae), vae_source(found.vae, file)),
        ):
            weights = {name: read().to(device, dtype) for name, read in reads(module, file, source).items()}
            module.load_state_dict(weights, assign=True)
            module.requires_grad_(False).eval()
            parts.append(module.to(memory_format=torch.channels_last) if best else module)
    library: Any = diffusers
    scheduler = library.EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1
    )
    shared: dict[str, Any] = {"vae": parts[1], "unet": parts[0], "scheduler": scheduler}
    shared |= {"text_encoder": None, "tokenizer": None}
    if found.unet.vector:
        pipe = library.StableDiffusionXLPipeline(**shared, text_encoder_2=None, tokenizer_2=None, add_watermarker=False)
    else:
        pipe = library.StableDiffusionPipeline(
            **shared, safety_checker=None, feature_extractor=None, requires_safety_checker=False
        )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def denoise_with(pipe: Any, positive: Any, negative: Any, size: int, steps: int, batch: int = 1) -> Any:
    entries = [each.entries[0] for each in (positive, negative)]
    dtype, device = pipe.unet.dtype, pipe.unet.device
    told: dict[str, Any] = {"prompt_embeds": entries[0].embedding, "negative_prompt_embeds": entries[1].embedding}
    if entries[0].pooled is not None and pipe.unet.config.class_embed_type:
        told |= {"pooled_prompt_embeds": entries[0].pooled, "negative_pooled_prompt_embeds": entries[1].pooled}
    told = {name: value.to(device, dtype) for name, value in told.items()}
    return pipe(
        **told,
        height=size,
        width=size,
        num_inference_steps=steps,
        guidance_scale=7.5,
        num_images_per_prompt=batch,
        output_type="latent",
    ).images
