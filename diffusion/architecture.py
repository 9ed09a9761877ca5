"""Model architectures as data: everything that must be known to build a module and give it its weights."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Prediction = Literal["eps", "v"]


@dataclass(frozen=True, slots=True)
class UnetConfig:
    """The latent diffusion U-Net. One entry per resolution in `channels`, `attention` and `heads`."""

    in_channels: int
    out_channels: int
    channels: tuple[int, ...]
    layers_per_level: int
    attention: tuple[bool, ...]
    transformer_depth: int
    context_dim: int
    heads: tuple[int, ...]
    linear_projection: bool = False
    norm_groups: int = 32


@dataclass(frozen=True, slots=True)
class VaeConfig:
    """The KL autoencoder. `scale` is the factor between its latents and what the U-Net sees."""

    in_channels: int
    latent_channels: int
    channels: tuple[int, ...]
    layers_per_level: int
    quant_conv: bool = True
    scale: float = 0.18215
    norm_groups: int = 32

    @property
    def downscale(self) -> int:
        """Pixels per latent cell, along one side."""
        return 2 ** (len(self.channels) - 1)


@dataclass(frozen=True, slots=True)
class ClipConfig:
    """A CLIP text transformer."""

    vocabulary: int
    positions: int
    width: int
    layers: int
    heads: int
    feed_forward: int
    activation: str = "quick_gelu"


@dataclass(frozen=True, slots=True)
class ScheduleConfig:
    """The training noise schedule: β from the square of a line between the roots of its ends."""

    linear_start: float = 0.00085
    linear_end: float = 0.012
    timesteps: int = 1000


@dataclass(frozen=True, slots=True)
class Architecture:
    """What a file holds. A component that it lacks is None."""

    family: str
    unet: UnetConfig | None
    vae: VaeConfig | None
    clip: ClipConfig | None
    prediction: Prediction = "eps"
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
