"""The names of the same weights in diffusers and in the original latent-diffusion files, for any depth.

Both layouts hold the same tensors; only attention in the autoencoder differs in shape (1×1 convolution there, linear
layer here). Every pair is listed once, so the conversion runs both ways.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch

State = dict[str, torch.Tensor]
_UNET_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_VAE_RESNET = {name: name for name in ("norm1", "conv1", "norm2", "conv2")} | {"conv_shortcut": "nin_shortcut"}
_VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
_VAE_LINEAR = ("q.weight", "k.weight", "v.weight", "proj_out.weight")


def unet_modules(attention: Sequence[bool], layers: int) -> dict[str, str]:
    """diffusers module → LDM module; `attention` tells for each level, finest first, whether it attends."""
    levels = len(attention)
    pairs = {
        "conv_in": "input_blocks.0.0",
        "time_embedding.linear_1": "time_embed.0",
        "time_embedding.linear_2": "time_embed.2",
        "conv_norm_out": "out.0",
        "conv_out": "out.2",
        "mid_block.attentions.0": "middle_block.1",
    }
    for number in (0, 1):
        pairs |= _within(f"mid_block.resnets.{number}", f"middle_block.{2 * number}", _UNET_RESNET)
    block = 1
    for level in range(levels):
        for layer in range(layers):
            pairs |= _within(f"down_blocks.{level}.resnets.{layer}", f"input_blocks.{block}.0", _UNET_RESNET)
            pairs[f"down_blocks.{level}.attentions.{layer}"] = f"input_blocks.{block}.1"
            block += 1
        if level < levels - 1:
            pairs[f"down_blocks.{level}.downsamplers.0.conv"] = f"input_blocks.{block}.0.op"
            block += 1
    block = 0
    for level in range(levels):
        for layer in range(layers + 1):
            pairs |= _within(f"up_blocks.{level}.resnets.{layer}", f"output_blocks.{block}.0", _UNET_RESNET)
            pairs[f"up_blocks.{level}.attentions.{layer}"] = f"output_blocks.{block}.1"
            block += 1
        if level < levels - 1:
            place = 2 if attention[levels - 1 - level] else 1
            pairs[f"up_blocks.{level}.upsamplers.0.conv"] = f"output_blocks.{block - 1}.{place}.conv"
    return pairs


def vae_modules(levels: int, layers: int) -> dict[str, str]:
    """diffusers module → LDM module, for a KL autoencoder."""
    pairs = {"quant_conv": "quant_conv", "post_quant_conv": "post_quant_conv"}
    for half in ("encoder", "decoder"):
        pairs |= {f"{half}.conv_in": f"{half}.conv_in", f"{half}.conv_out": f"{half}.conv_out"}
        pairs[f"{half}.conv_norm_out"] = f"{half}.norm_out"
        pairs |= _within(f"{half}.mid_block.attentions.0", f"{half}.mid.attn_1", _VAE_ATTENTION)
        for number in (0, 1):
            pairs |= _within(f"{half}.mid_block.resnets.{number}", f"{half}.mid.block_{number + 1}", _VAE_RESNET)
    for level in range(levels):
        up = levels - 1 - level
        down, block = f"encoder.down_blocks.{level}.resnets", f"encoder.down.{level}.block"
        for layer in range(layers):
            pairs |= _within(f"{down}.{layer}", f"{block}.{layer}", _VAE_RESNET)
        rise, block = f"decoder.up_blocks.{level}.resnets", f"decoder.up.{up}.block"
        for layer in range(layers + 1):
            pairs |= _within(f"{rise}.{layer}", f"{block}.{layer}", _VAE_RESNET)
        pairs[f"encoder.down_blocks.{level}.downsamplers.0.conv"] = f"encoder.down.{level}.downsample.conv"
        pairs[f"decoder.up_blocks.{level}.upsamplers.0.conv"] = f"decoder.up.{up}.upsample.conv"
    return pairs


def to_ldm(state: Mapping[str, torch.Tensor], modules: Mapping[str, str]) -> State:
    """Rename diffusers' weights; raises KeyError for a weight that has no place."""
    renamed = _rename(state, modules)
    return {k: v[:, :, None, None] if _is_vae_linear(k) and v.ndim == 2 else v for k, v in renamed.items()}


def to_diffusers(state: Mapping[str, torch.Tensor], modules: Mapping[str, str]) -> State:
    """The inverse of `to_ldm`."""
    flat = {k: v[:, :, 0, 0] if _is_vae_linear(k) and v.ndim == 4 else v for k, v in state.items()}
    return _rename(flat, {ldm: ours for ours, ldm in modules.items()})


def _within(ours: str, theirs: str, names: Mapping[str, str]) -> dict[str, str]:
    return {f"{ours}.{a}": f"{theirs}.{b}" for a, b in names.items()}


def _is_vae_linear(key: str) -> bool:
    return ".attn_1." in key and key.endswith(_VAE_LINEAR)


def _rename(state: Mapping[str, torch.Tensor], modules: Mapping[str, str]) -> State:
    return {f"{modules[module]}.{rest}": state[key] for key, module, rest in _split(state, modules)}


def _split(keys: Iterable[str], modules: Mapping[str, str]) -> Iterable[tuple[str, str, str]]:
    """Each key with the longest known module it begins with, and what follows."""
    for key in keys:
        parts = key.split(".")
        for cut in range(len(parts) - 1, 0, -1):
            if (module := ".".join(parts[:cut])) in modules:
                yield key, module, ".".join(parts[cut:])
                break
        else:
            raise KeyError(f"no place for the weight {key!r}")
