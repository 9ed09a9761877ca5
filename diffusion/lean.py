"""Inference with fewer copies: what diffusers' layers compute, in place where nothing else reads the values.

The layers are written for training, where each intermediate value is kept for the gradient. Here the residual blocks of
U-Nets and autoencoders write over theirs, autoencoders hold no picture longer than it is read, and attention is given
heads of a width for which the processor has fast kernels. The numbers stay the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast

import torch
from diffusers.models.attention_processor import Attention
from diffusers.models.autoencoders.vae import Decoder, Encoder
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.unets.unet_2d_blocks import DownEncoderBlock2D, UpDecoderBlock2D
from torch import Tensor, nn
from torch.nn import functional

from diffusion.blocks import Unfolded

_HEAD_WIDTHS = 32
"""Head widths that are a multiple of this take the matrix instructions in oneDNN's bfloat16 attention."""
_MANY_TOKENS = 2048


class LeanResnet(ResnetBlock2D):
    """A residual block without resampling."""

    def forward(self, input_tensor: Tensor, temb: Tensor | None = None, *_: Any, **__: Any) -> Tensor:
        hidden = self.conv1(functional.silu(self.norm1(input_tensor), inplace=True))
        if self.time_emb_proj is not None and temb is not None:
            hidden = hidden.add_(self.time_emb_proj(functional.silu(temb))[:, :, None, None])
        hidden = self.conv2(functional.silu(self.norm2(hidden), inplace=True))
        if self.conv_shortcut is not None:
            input_tensor = self.conv_shortcut(input_tensor)
        return hidden.add_(input_tensor)


class LeanDown(Unfolded, DownEncoderBlock2D):
    """A block of a lean encoder."""


class LeanUp(Unfolded, UpDecoderBlock2D):
    """A block of a lean decoder."""


class LeanEncoder(Encoder):
    """An encoder that calls the layers of its blocks itself, so that no caller holds what a block was given."""

    def forward(self, sample: Tensor) -> Tensor:
        sample = self.conv_in(sample)
        for layer in _layers(self.down_blocks):
            sample = layer(sample)
        return _finished(self, self.mid_block(sample))


class LeanDecoder(Decoder):
    """A decoder that does likewise. At 512×512 what its last block was given is 0.13 GB."""

    def forward(self, sample: Tensor, latent_embeds: Tensor | None = None) -> Tensor:
        assert latent_embeds is None
        sample = self.mid_block(self.conv_in(sample))
        for layer in _layers(self.up_blocks):
            sample = layer(sample)
        return _finished(self, sample)


class LeanAttention:
    """How an attention layer of a transformer block is computed."""

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
        **_: Any,
    ) -> Tensor:
        del temb
        assert attention_mask is None
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        layers = attn.get_submodule("to_q"), attn.get_submodule("to_k"), attn.get_submodule("to_v")
        query, key, value = (
            cast("Tensor", layer(tokens)).unflatten(-1, (attn.heads, -1)).transpose(1, 2)
            for layer, tokens in zip(layers, (hidden_states, context, context), strict=True)
        )
        width = query.shape[-1]
        spare = -width % _HEAD_WIDTHS
        widen = spare and query.dtype == torch.bfloat16 and query.device.type == "cpu" and key.shape[2] >= _MANY_TOKENS
        if widen:
            query, key, value = (functional.pad(part, (0, spare)) for part in (query, key, value))
        attended = functional.scaled_dot_product_attention(query, key, value, scale=width**-0.5)
        if widen:
            attended = attended[..., :width]
        output = cast("nn.ModuleList", attn.to_out)
        return output[0](attended.transpose(1, 2).flatten(2))


def make_lean(module: nn.Module) -> None:
    """Let the layers of a network that only infers compute so, where they are of the common kind."""
    for each in module.modules():
        if type(each) is ResnetBlock2D and _is_plain(each):
            each.__class__ = LeanResnet
        elif type(each) is Attention and _is_transformers(each):
            each.set_processor(cast("Any", LeanAttention()))
    for each in module.modules():
        if type(each) is Encoder and _unfolded(each.down_blocks, DownEncoderBlock2D, LeanDown):
            each.__class__ = LeanEncoder
        elif type(each) is Decoder and _unfolded(each.up_blocks, UpDecoderBlock2D, LeanUp):
            each.__class__ = LeanDecoder


def _unfolded(blocks: Iterable[nn.Module], kind: type[nn.Module], lean: type[nn.Module]) -> bool:
    """Whether the blocks of an autoencoder could be made lean: all are of that kind, with lean layers."""
    found = list(blocks)
    if not all(type(each) is kind and _has_lean_layers(each) for each in found):
        return False
    for each in found:
        each.__class__ = lean
    return True


def _has_lean_layers(block: nn.Module) -> bool:
    return all(type(each) is LeanResnet for each in block.get_submodule("resnets").children())


def _layers(blocks: Iterable[nn.Module]) -> Iterator[nn.Module]:
    """The layers of an autoencoder's blocks, in order."""
    for block in blocks:
        for part in block.children():  # the residual blocks, then what changes the size
            yield from part.children()


def _finished(coder: Encoder | Decoder, sample: Tensor) -> Tensor:
    return coder.conv_out(functional.silu(coder.conv_norm_out(sample), inplace=True))


def _is_plain(block: ResnetBlock2D) -> bool:
    return (
        block.upsample is None
        and block.downsample is None
        and (block.time_embedding_norm == "default" or block.time_emb_proj is None)  # a VAE's name another norm, unused
        and block.output_scale_factor == 1.0
        and isinstance(block.nonlinearity, nn.SiLU)
    )


def _is_transformers(layer: Attention) -> bool:
    """Whether an attention layer is one of a transformer block, not that of an autoencoder."""
    return (
        layer.group_norm is None
        and layer.spatial_norm is None
        and not layer.norm_cross
        and layer.norm_q is None
        and layer.norm_k is None
        and layer.added_kv_proj_dim is None
        and not layer.residual_connection
        and layer.rescale_output_factor == 1.0
        and layer.scale_qk
    )
