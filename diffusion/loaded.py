"""Models with their weights in place: what sampling, text encoding and the VAE work with.

Each hides the library module behind the few calls that are needed, takes and gives float32 on the CPU or its own
device as its protocol says, and computes in the type it was loaded in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextModel

from diffusion.architecture import ClipConfig, Prediction, UnetConfig, VaeConfig
from diffusion.errors import BadPrompt
from diffusion.preview import LatentRgb
from diffusion.sampling.discrete import DiscreteSchedule
from diffusion.sampling.protocols import ModelInputs, Start
from diffusion.text.tokenizer import ClipTokenizer
from diffusion.values import CondEntry


@dataclass(frozen=True, slots=True, eq=False)
class LoadedUnet:
    """A U-Net on its device; what `diffusion.sampling` calls a DenoiserModel."""

    module: UNet2DConditionModel
    config: UnetConfig
    sampling: DiscreteSchedule
    prediction: Prediction
    latent_scale: float
    latent_rgb: LatentRgb
    device: torch.device
    dtype: torch.dtype

    @property
    def latent_channels(self) -> int:
        return self.config.out_channels

    @property
    def bytes(self) -> int:
        return _bytes(self.module)

    def inputs(self, entry: CondEntry, start: Start, *, negative: bool) -> ModelInputs:
        """Nothing: these networks read the latent, the time and the prompt."""
        del entry, start, negative
        return ModelInputs()

    @torch.inference_mode()
    def predict(self, x: Tensor, timestep: Tensor, context: Tensor, pooled: Tensor | None = None) -> Tensor:
        """One forward pass: x float32 [B, C, h, w], timestep [B], context [B, T, D] → float32 [B, C, h, w].

        `pooled` is for families whose U-Net reads it; this one does not.
        """
        del pooled
        if context.shape[-1] != self.config.context_dim:
            raise BadPrompt(
                f"The prompt's embedding is {context.shape[-1]} wide and the model reads {self.config.context_dim}.",
                hint="Encode the prompt with the text encoder of the same checkpoint.",
                code="wrong_text_encoder",
                input="positive",
            )
        output = self.module(
            x.to(self.device, self.dtype),
            timestep.to(self.device),
            encoder_hidden_states=context.to(self.device, self.dtype),
            return_dict=False,
        )[0]
        return output.float()


@dataclass(frozen=True, slots=True, eq=False)
class LoadedClip:
    """A CLIP text encoder on its device."""

    module: CLIPTextModel
    config: ClipConfig
    tokenizer: ClipTokenizer
    device: torch.device
    stop_at_layer: int | None = None

    @property
    def positions(self) -> int:
        return self.config.positions

    @property
    def bytes(self) -> int:
        return _bytes(self.module)

    @torch.inference_mode()
    def encode_tokens(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Token ids int64 [B, T] → embeddings [B, T, C] and pooled [B, C], float32 on the CPU.

        The embeddings come from the layer that `stop_at_layer` counts from the end, through the final norm; beyond the
        first layer it means the last. Pooled is the last layer's, at the end token.
        """
        skip = self.stop_at_layer is not None and -self.config.layers <= self.stop_at_layer < -1
        output = self.module(input_ids=tokens.to(self.device), output_hidden_states=skip)
        embeddings = output.last_hidden_state
        if skip and self.stop_at_layer is not None:
            owner = getattr(self.module, "text_model", self.module)
            embeddings = owner.final_layer_norm(output.hidden_states[self.stop_at_layer])
        return embeddings.float().cpu(), output.pooler_output.float().cpu()


@dataclass(frozen=True, slots=True, eq=False)
class LoadedVae:
    """An autoencoder on its device."""

    module: AutoencoderKL
    config: VaeConfig
    device: torch.device
    dtype: torch.dtype

    @property
    def downscale(self) -> int:
        return self.config.downscale

    @property
    def latent_channels(self) -> int:
        return self.config.latent_channels

    @property
    def bytes(self) -> int:
        return _bytes(self.module)

    @torch.inference_mode()
    def encode_pixels(self, pixels: Tensor) -> Tensor:
        """float32 [B, 3, H, W] in −1..1 → the mean of the latent's distribution, float32 on the CPU."""
        distribution = self.module.encode(pixels.to(self.device, self.dtype), return_dict=False)[0]
        return distribution.mode().float().cpu()

    @torch.inference_mode()
    def decode_latent(self, latent: Tensor) -> Tensor:
        """float32 [B, C, h, w] → float32 [B, 3, H, W] around −1..1 on the CPU."""
        scaled = cast("torch.FloatTensor", latent.to(self.device, self.dtype))
        return self.module.decode(scaled, return_dict=False)[0].float().cpu()


def _bytes(module: nn.Module) -> int:
    return sum(each.numel() * each.element_size() for each in module.parameters())
