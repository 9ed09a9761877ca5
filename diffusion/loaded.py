"""Models with their weights in place: what sampling, text encoding and the VAE work with.

Each hides the library module behind the few calls that are needed, takes and gives float32 on the CPU or its own
device as its protocol says, and computes in the type it was loaded in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn

from diffusion.architecture import ClipConfig, TinyVaeConfig, UnetConfig, VaeConfig
from diffusion.control.guide import Load, guides
from diffusion.errors import BadPrompt, MissingComponent
from diffusion.library import ModelLibrary
from diffusion.memory import Relieve, frugal, with_relief
from diffusion.model_inputs import model_inputs
from diffusion.model_options import BESIDE_THE_NETWORK, DownscaleOption, ModelOption
from diffusion.model_patches.apply import run_patches
from diffusion.model_patches.landing import landing
from diffusion.preview import LatentRgb
from diffusion.sampling.discrete import DiscreteSchedule
from diffusion.sampling.protocols import ModelInputs, Prediction, Residuals, Start
from diffusion.sampling.run_patches import RunPatch
from diffusion.text.embeddings import Call, vectors_of
from diffusion.text.tokenizer import ClipTokenizer
from diffusion.values import CondEntry

if TYPE_CHECKING:
    from diffusion.compiling import CompiledNetwork

_LARGE_PICTURE = 512 * 512
"""Pixels from which a pass through an autoencoder takes more memory than sampling did."""


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
    control_net: Load
    """Gives the control networks that prompts ask for."""
    relieve: Relieve
    """Makes room when memory runs out; False when it can't."""
    compiled: CompiledNetwork | None = None
    """The network once it is compiled, where that was asked for."""
    options: tuple[ModelOption, ...] = ()
    """Changes to how it samples, which take part in each run."""

    @property
    def latent_channels(self) -> int:
        return self.config.out_channels

    @property
    def bytes(self) -> int:
        return _bytes(self.module)

    def inputs(self, entry: CondEntry, start: Start, *, negative: bool) -> ModelInputs:
        """The vector and channels that the network reads (`diffusion.model_inputs` says which), and the control
        networks that the prompt uses."""
        found = model_inputs(self.config, self.latent_scale, entry, start, negative=negative)
        controls = guides(
            entry,
            self.control_net,
            self.config,
            levels=self.sampling,
            batch=start.latent.shape[0],
            input="negative" if negative else "positive",
        )
        return replace(found, controls=controls) if controls else found

    def run_patches(self, start: Start, sigmas: Sequence[float]) -> tuple[RunPatch, ...]:
        """The patches for one run, from the options."""
        return run_patches(self.module, self.sampling, self.options, start, sigmas)

    @torch.inference_mode()
    def predict(
        self,
        x: Tensor,
        timestep: Tensor,
        context: Tensor,
        pooled: Tensor | None = None,
        residuals: Residuals | None = None,
    ) -> Tensor:
        """One forward pass: x float32 [B, C+K, h, w], timestep [B], context [B, T, D], pooled [B, P] where the network
        reads a vector, residuals to add on the way down and in the middle → float32 [B, C, h, w]."""
        if context.shape[-1] != self.config.context_dim:
            raise BadPrompt(
                f"The prompt's embedding is {context.shape[-1]} wide and the model reads {self.config.context_dim}.",
                hint="Encode the prompt with the text encoder of the same checkpoint.",
                code="wrong_text_encoder",
                input="positive",
            )
        rows, tall, wide = x.shape[0], x.shape[-2] * 8, x.shape[-1] * 8
        return with_relief(
            partial(self._forward, x, timestep, context, pooled, residuals),
            self.relieve,
            f"a pass of the model over {rows} × {wide}×{tall} pixels",
            f"Make smaller pictures, or fewer at once: {max(64, wide // 16 * 8)}×{max(64, tall // 16 * 8)} takes about "
            "a quarter of that.",
        )

    def _forward(
        self, x: Tensor, timestep: Tensor, context: Tensor, pooled: Tensor | None, residuals: Residuals | None
    ) -> Tensor:
        if self.dtype != torch.float32:  # in which convolutions are faster with the channels last
            x = x.to(memory_format=torch.channels_last)
        inputs = {
            "sample": x.to(self.device, self.dtype),
            "timestep": timestep.to(self.device),
            "encoder_hidden_states": context.to(self.device, self.dtype),
            "class_labels": self._labels(pooled),
        }
        if residuals is not None and any(isinstance(option, DownscaleOption) for option in self.options):
            with landing(self.module, residuals.to(self.dtype)):
                return self.module(**inputs, return_dict=False)[0].float()
        inputs |= self._additions(residuals)
        if self.compiled is not None and not inputs.get("down_intrablock_additional_residuals") and self._is_unhooked:
            return self.compiled(**inputs).float()
        return self.module(**inputs, return_dict=False)[0].float()

    @property
    def _is_unhooked(self) -> bool:
        """Whether no option reaches into the network, where compiled code would not notice."""
        return all(isinstance(option, BESIDE_THE_NETWORK) for option in self.options)

    def _additions(self, residuals: Residuals | None) -> dict[str, Any]:
        """What control networks add, by the names of the module's arguments."""
        if residuals is None:
            return {}
        placed = residuals.to(self.dtype)
        return {
            "down_block_additional_residuals": placed.down or None,
            "mid_block_additional_residual": placed.middle,
            "down_intrablock_additional_residuals": list(placed.inside) or None,
        }

    def _labels(self, vector: Tensor | None) -> Tensor | None:
        if vector is None:
            return None
        if self.config.noise_levels:
            return vector[:, 0].long().to(self.device)
        return vector.to(self.device, self.dtype)


@dataclass(frozen=True, slots=True, eq=False)
class TextTower:
    """One CLIP text transformer on its device. `layer` counts from the end; beyond the first it means the last."""

    module: nn.Module
    config: ClipConfig
    tokenizer: ClipTokenizer
    device: torch.device
    layer: int
    library: ModelLibrary

    @property
    def positions(self) -> int:
        return self.config.positions

    @property
    def pad(self) -> int:
        return self.config.pad

    @property
    def is_large(self) -> bool:
        return self.config.pad == 0 and not self.config.norm_hidden

    def vectors(self, call: Call) -> tuple[Tensor, str]:
        """The vectors [N, C] that an embedding in a prompt stands for, and what of the call was only text."""
        return vectors_of(self.library, call, self.config.width)

    @torch.inference_mode()
    def encode_tokens(self, tokens: Tensor, vectors: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Token ids int64 [B, T] → embeddings [B, T, C] and pooled [B, P], float32 on the CPU. Ids from the size of the
        vocabulary on stand for the rows of `vectors` [N, C].

        The embeddings come from the chosen layer, through the final norm where the family does so. Pooled is the last
        layer's, at the first end token, projected where the encoder has a projection.
        """
        layer = min(self.layer + self.config.dropped_layers, -1)
        skip = -self.config.layers <= layer < (-1 if self.config.norm_hidden else 0)
        with self._in_place_of_tokens(tokens, vectors):
            known = tokens.masked_fill(tokens >= self.config.vocabulary, 0)
            output = self.module(input_ids=known.to(self.device), output_hidden_states=skip)
        embeddings, pooled = output.last_hidden_state, output.pooler_output
        if skip:
            embeddings = output.hidden_states[layer]
            if self.config.norm_hidden:
                embeddings = text_transformer(self.module).get_submodule("final_layer_norm")(embeddings)
        if self.config.projection:
            pooled = self.module.get_submodule("text_projection")(pooled)
        return embeddings.float().cpu(), pooled.float().cpu()

    def _in_place_of_tokens(self, tokens: Tensor, vectors: Tensor | None) -> AbstractContextManager[object]:
        """While it is entered, tokens beyond the vocabulary have the given vectors for embeddings."""
        if vectors is None or not len(vectors):
            return nullcontext()
        ids = tokens.to(self.device) - self.config.vocabulary
        given = vectors.to(self.device)

        def replaced(module: nn.Module, inputs: object, output: Tensor) -> Tensor:
            del module, inputs
            return torch.where((ids >= 0)[..., None], given[ids.clamp(min=0)].to(output.dtype), output)

        table = text_transformer(self.module).get_submodule("embeddings.token_embedding")
        return table.register_forward_hook(replaced)


def text_transformer(module: nn.Module) -> nn.Module:
    """The transformer of a CLIP text model, which some releases of transformers wrap in a module of its own."""
    return dict(module.named_children()).get("text_model", module)


@dataclass(frozen=True, slots=True, eq=False)
class LoadedClip:
    """The text encoders of a model on their device: one, or the two whose embeddings SDXL joins."""

    module: nn.ModuleList
    configs: tuple[ClipConfig, ...]
    tokenizer: ClipTokenizer
    device: torch.device
    library: ModelLibrary
    """Where the embeddings that prompts call are found."""
    stop_at_layer: int | None = None

    @property
    def towers(self) -> tuple[TextTower, ...]:
        """The encoders in the order in which their embeddings are joined."""
        return tuple(
            TextTower(
                module, config, self.tokenizer, self.device, self.stop_at_layer or config.default_layer, self.library
            )
            for module, config in zip(self.module, self.configs, strict=True)
        )

    @property
    def bytes(self) -> int:
        return _bytes(self.module)


@dataclass(frozen=True, slots=True, eq=False)
class LoadedVae:
    """An autoencoder on its device."""

    module: AutoencoderKL | AutoencoderTiny
    config: VaeConfig | TinyVaeConfig
    device: torch.device
    dtype: torch.dtype
    relieve: Relieve
    """Makes room when memory runs out; False when it can't."""
    available: Callable[[], int]
    """Bytes that are free on the device."""

    @property
    def downscale(self) -> int:
        return self.config.downscale

    @property
    def latent_channels(self) -> int:
        return self.config.latent_channels

    @property
    def bytes(self) -> int:
        return _bytes(self.module)

    def has_room(self, pixels: int) -> bool:
        """Whether there is memory for so many pixels at once: the widest values of their full size, four times over."""
        widest = 64 if isinstance(self.config, TinyVaeConfig) else 2 * self.config.channels[0]
        return pixels * widest * self.dtype.itemsize * 4 <= self.available()

    @torch.inference_mode()
    def encode_pixels(self, pixels: Tensor) -> Tensor:
        """float32 [B, 3, H, W] in −1..1 → the mean of the latent's distribution, float32 on the CPU."""
        return self._relieved(partial(self._encode, pixels), pixels.shape[-2], pixels.shape[-1])

    @torch.inference_mode()
    def decode_latent(self, latent: Tensor) -> Tensor:
        """float32 [B, C, h, w] → float32 [B, 3, H, W] around −1..1 on the CPU."""
        scale = self.downscale
        return self._relieved(partial(self._decode, latent), latent.shape[-2] * scale, latent.shape[-1] * scale)

    def _encode(self, pixels: Tensor) -> Tensor:
        placed = self._placed(pixels)
        if isinstance(self.config, TinyVaeConfig):
            self._check_side(self.config.encoder, "encodes")
            return self.module.encoder(placed).float().cpu() / self.config.scale + self.config.shift
        distribution = cast("AutoencoderKL", self.module).encode(placed, return_dict=False)[0]
        return distribution.mode().float().cpu()

    def _decode(self, latent: Tensor) -> Tensor:
        if isinstance(self.config, TinyVaeConfig):
            self._check_side(self.config.decoder, "decodes")
            scaled = (latent - self.config.shift) * self.config.scale
            return self.module.decoder(self._placed(scaled)).float().cpu()
        placed = cast("torch.FloatTensor", self._placed(latent))
        return cast("AutoencoderKL", self.module).decode(placed, return_dict=False)[0].float().cpu()

    def _placed(self, values: Tensor) -> Tensor:
        placed = values.to(self.device, self.dtype)
        return placed if self.dtype == torch.float32 else placed.contiguous(memory_format=torch.channels_last)

    def _relieved(self, run: Callable[[], Tensor], height: int, width: int) -> Tensor:
        what = f"a picture of {width}×{height} pixels in the VAE"
        with frugal() if height * width >= _LARGE_PICTURE else nullcontext():
            return with_relief(run, self.relieve, what, "Use the nodes that encode and decode in tiles, of 256 pixels.")

    @staticmethod
    def _check_side(side: str | None, does: str) -> None:
        if side is None:
            raise MissingComponent(
                f"This tiny autoencoder lacks the side that {does}.",
                hint="Put taesd_encoder and taesd_decoder beside each other in models/vae_approx.",
                input="vae",
            )


def _bytes(module: nn.Module) -> int:
    return sum(each.numel() * each.element_size() for each in module.parameters())
