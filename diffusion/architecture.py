"""Model architectures as data: everything that must be known to build a module and give it its weights."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Prediction = Literal["eps", "v"]
Layout = Literal["original", "diffusers"]
"""How a file names the parameters of a U-Net or an autoencoder."""

UNET_ROOT = "model.diffusion_model."
VAE_ROOT = "first_stage_model."
CLIP_ROOT = "cond_stage_model.transformer.text_model."

SD1, SD2, SDXL, REFINER, X4 = (
    "Stable Diffusion 1",
    "Stable Diffusion 2",
    "SDXL",
    "SDXL refiner",
    "Stable Diffusion x4 upscaler",
)
"""What the families of models are called."""

_BY_CONTEXT = {768: SD1, 1024: SD2, 1280: REFINER, 2048: SDXL}

LATENT_SCALE, XL_LATENT_SCALE = 0.18215, 0.13025
"""What latents of Stable Diffusion 1 and 2, and of SDXL, are multiplied by for the U-Net (from their configs)."""

SIZE_WIDTH = 256
"""Each number that SDXL reads (a height, a width …) becomes a sinusoidal embedding of this width."""


def family_by_context(width: int) -> str:
    """The family whose U-Net reads text embeddings of that width, in words where no known one does."""
    return _BY_CONTEXT.get(width, f"a model that reads text embeddings of width {width}")


@dataclass(frozen=True, slots=True)
class UnetConfig:
    """The latent diffusion U-Net. `down_depths` holds the transformer blocks of each layer of each level, from the
    finest level on; `up_depths` the same in the order of the way up. `middle_depth` is None where the middle holds one
    convolution block alone, and `middle` False where there is none. `vector` is the width of the vector that the
    network reads beside the prompt (SDXL), `numbers` how many sizes are in it, and `noise_levels` how many levels its
    table of noise levels has (the x4 upscaler). `root` and `layout` say where the file keeps the parameters.
    """

    in_channels: int
    out_channels: int
    channels: tuple[int, ...]
    layers_per_level: int
    down_depths: tuple[tuple[int, ...], ...]
    up_depths: tuple[tuple[int, ...], ...]
    middle_depth: int | None
    context_dim: int
    heads: tuple[int, ...]
    middle: bool = True
    cross_only: tuple[bool, ...] = ()
    linear_projection: bool = False
    norm_groups: int = 32
    vector: int = 0
    numbers: int = 0
    noise_levels: int = 0
    root: str = UNET_ROOT
    layout: Layout = "original"

    @property
    def extra_channels(self) -> int:
        """The input channels beside the latent's own: a picture to edit, and for inpainting its mask."""
        return self.in_channels - self.out_channels


@dataclass(frozen=True, slots=True)
class VaeConfig:
    """The KL autoencoder."""

    in_channels: int
    latent_channels: int
    channels: tuple[int, ...]
    layers_per_level: int
    quant_conv: bool = True
    norm_groups: int = 32
    root: str = VAE_ROOT
    layout: Layout = "original"

    @property
    def downscale(self) -> int:
        """Pixels per latent cell, along one side."""
        return 2 ** (len(self.channels) - 1)


@dataclass(frozen=True, slots=True)
class TinyVaeConfig:
    """A distilled autoencoder (TAESD): plain convolutions from pictures to latents in the U-Net's scale, so it has to
    know that `scale`, and the `shift` that is taken from a latent before. Either side may be missing from a file;
    `encoder` and `decoder` are where they begin, or None."""

    latent_channels: int
    scale: float
    encoder: str | None
    decoder: str | None
    layout: Layout = "original"
    downscale: int = 8
    shift: float = 0.0


@dataclass(frozen=True, slots=True)
class ClipConfig:
    """A CLIP text transformer.

    pad: the token that fills a window. default_layer: the layer that is read when none is chosen, from the end.
    norm_hidden: whether an earlier layer goes through the final norm. projection: the width that the pooled vector is
    projected to, or 0. dropped_layers: how many of the trained network's last layers the file leaves out.
    """

    vocabulary: int
    positions: int
    width: int
    layers: int
    heads: int
    feed_forward: int
    activation: str = "quick_gelu"
    pad: int = 49_407
    default_layer: int = -1
    norm_hidden: bool = True
    projection: int = 0
    dropped_layers: int = 0
    root: str = CLIP_ROOT
    layout: Literal["transformers", "open_clip"] = "transformers"


@dataclass(frozen=True, slots=True)
class ScheduleConfig:
    """The training noise schedule: β from the square of a line between the roots of its ends; `zero_terminal` rescales
    it so that the last timestep is noise alone."""

    linear_start: float = 0.00085
    linear_end: float = 0.012
    timesteps: int = 1000
    zero_terminal: bool = False


@dataclass(frozen=True, slots=True)
class Architecture:
    """What a file holds. A component that it lacks is None, or empty.

    clip: its text encoders, whose embeddings are joined in this order. latent_scale: the factor between the
    autoencoder's latents and what the U-Net sees.
    """

    family: str
    unet: UnetConfig | None
    vae: VaeConfig | TinyVaeConfig | None
    clip: tuple[ClipConfig, ...]
    prediction: Prediction = "eps"
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    latent_scale: float = LATENT_SCALE
