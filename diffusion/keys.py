"""Maps the parameter names of the modules that run a model to the names in its file.

The original latent-diffusion layout numbers blocks in one sequence and names layers by position; diffusers' modules
nest them by resolution. The maps are generated from the architecture, so they hold at every width and depth. A file in
diffusers' own layout needs next to no map.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from diffusion.architecture import ClipConfig, UnetConfig, VaeConfig

NameMap = Callable[[str], str]
"""From a parameter name of a module to its name in the file."""

_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_OLD_ATTENTION = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
_VAE_ATTENTION = {
    "group_norm": "norm",
    "to_q": "q",
    "to_k": "k",
    "to_v": "v",
    "to_out.0": "proj_out",
    # The names of the same layers in older diffusers files.
    "query": "q",
    "key": "k",
    "value": "v",
    "proj_attn": "proj_out",
}
_OPEN_CLIP = {
    "embeddings.token_embedding.weight": "token_embedding.weight",
    "embeddings.position_embedding.weight": "positional_embedding",
    "final_layer_norm.weight": "ln_final.weight",
    "final_layer_norm.bias": "ln_final.bias",
    "text_projection.weight": "text_projection",
}
_OPEN_CLIP_LAYER = {
    "layer_norm1.": "ln_1.",
    "layer_norm2.": "ln_2.",
    "self_attn.q_proj.": "attn.in_proj_",
    "self_attn.k_proj.": "attn.in_proj_",
    "self_attn.v_proj.": "attn.in_proj_",
    "self_attn.out_proj.": "attn.out_proj.",
    "mlp.fc1.": "mlp.c_fc.",
    "mlp.fc2.": "mlp.c_proj.",
}
_CLIP_LAYER = re.compile(r"encoder\.layers\.(\d+)\.")


def unet_names(config: UnetConfig) -> NameMap:
    """For a UNet2DConditionModel, in the layout of its file."""
    if config.layout == "diffusers":
        return lambda name: config.root + name.replace("class_embedding.linear", "add_embedding.linear", 1)
    original = original_unet_names(config)
    return lambda name: config.root + original(name)


def original_unet_names(config: UnetConfig) -> NameMap:
    """For a UNet2DConditionModel, in the original layout and without a root, whatever layout its file has."""
    return diffusers_unet_names(
        len(config.channels), config.layers_per_level, [any(depths) for depths in config.up_depths]
    )


def diffusers_unet_names(levels: int, layers: int, attends: Sequence[bool]) -> NameMap:
    """From diffusers' names to the original ones, for a U-Net of `levels` with so many `layers` each. `attends` says,
    from the coarsest level on, where the way up has transformers."""
    prefixes: dict[str, str] = {
        "conv_in": "input_blocks.0.0",
        "time_embedding.linear_1": "time_embed.0",
        "time_embedding.linear_2": "time_embed.2",
        "class_embedding": "label_emb",
        "conv_norm_out": "out.0",
        "conv_out": "out.2",
        "mid_block.attentions.0": "middle_block.1",
        **_resnet("mid_block.resnets.0", "middle_block.0"),
        **_resnet("mid_block.resnets.1", "middle_block.2"),
    }
    for vector in ("class_embedding", "add_embedding"):
        prefixes |= {f"{vector}.linear_1": "label_emb.0.0", f"{vector}.linear_2": "label_emb.0.2"}
    index = 0
    for level in range(levels):
        for layer in range(layers):
            index += 1
            prefixes |= _resnet(f"down_blocks.{level}.resnets.{layer}", f"input_blocks.{index}.0")
            prefixes[f"down_blocks.{level}.attentions.{layer}"] = f"input_blocks.{index}.1"
        if level < levels - 1:
            index += 1
            prefixes[f"down_blocks.{level}.downsamplers.0.conv"] = f"input_blocks.{index}.0.op"
    index = -1
    for up in range(levels):
        for layer in range(layers + 1):
            index += 1
            prefixes |= _resnet(f"up_blocks.{up}.resnets.{layer}", f"output_blocks.{index}.0")
            prefixes[f"up_blocks.{up}.attentions.{layer}"] = f"output_blocks.{index}.1"
        prefixes[f"up_blocks.{up}.upsamplers.0.conv"] = f"output_blocks.{index}.{2 if attends[up] else 1}.conv"
    return _by_prefix(prefixes)


def vae_names(config: VaeConfig, *, old_attention: bool = False) -> NameMap:
    """For an AutoencoderKL, in the layout of its file. `old_attention`: the file is diffusers' from before it renamed
    the attention's layers."""
    if config.layout == "diffusers":
        return lambda name: config.root + (_with_old_attention(name) if old_attention else name)
    original = diffusers_vae_names(len(config.channels), config.layers_per_level)
    return lambda name: config.root + original(name)


def diffusers_vae_names(levels: int, layers: int) -> NameMap:
    """From diffusers' names of an autoencoder's parameters, new or old, to the original ones."""
    prefixes = {"quant_conv": "quant_conv", "post_quant_conv": "post_quant_conv"}
    for side in ("encoder", "decoder"):
        prefixes |= {
            f"{side}.conv_in": f"{side}.conv_in",
            f"{side}.conv_norm_out": f"{side}.norm_out",
            f"{side}.conv_out": f"{side}.conv_out",
            **_vae_resnet(f"{side}.mid_block.resnets.0", f"{side}.mid.block_1"),
            **_vae_resnet(f"{side}.mid_block.resnets.1", f"{side}.mid.block_2"),
        }
        for ours, theirs in _VAE_ATTENTION.items():
            prefixes[f"{side}.mid_block.attentions.0.{ours}"] = f"{side}.mid.attn_1.{theirs}"
    for level in range(levels):
        up = levels - 1 - level
        for layer in range(layers + 1):
            prefixes |= _vae_resnet(
                f"encoder.down_blocks.{level}.resnets.{layer}", f"encoder.down.{level}.block.{layer}"
            )
            prefixes |= _vae_resnet(f"decoder.up_blocks.{up}.resnets.{layer}", f"decoder.up.{level}.block.{layer}")
        prefixes[f"encoder.down_blocks.{level}.downsamplers.0.conv"] = f"encoder.down.{level}.downsample.conv"
        prefixes[f"decoder.up_blocks.{up}.upsamplers.0.conv"] = f"decoder.up.{level}.upsample.conv"
    return _by_prefix(prefixes)


def clip_names(config: ClipConfig) -> NameMap:
    """For a CLIPTextModel in its file's layout, whether or not transformers nests it in `text_model`."""

    def transformers(name: str) -> str:
        if name.startswith("text_projection."):
            return config.root.removesuffix("text_model.") + name
        return config.root + name.removeprefix("text_model.")

    def open_clip(name: str) -> str:
        name = name.removeprefix("text_model.")
        layer = _CLIP_LAYER.match(name)
        if layer is None:
            return config.root + _OPEN_CLIP[name]
        rest = name[layer.end() :]
        ours = next(each for each in _OPEN_CLIP_LAYER if rest.startswith(each))
        return f"{config.root}transformer.resblocks.{layer[1]}.{_OPEN_CLIP_LAYER[ours]}{rest.removeprefix(ours)}"

    return transformers if config.layout == "transformers" else open_clip


def missing(names: Iterable[str], source: NameMap, available: Iterable[str]) -> list[str]:
    """The names in the file that a module needs and the file lacks."""
    there = set(available)
    return [source(name) for name in names if source(name) not in there]


def _with_old_attention(name: str) -> str:
    if ".attentions." in name:
        for new, old in _OLD_ATTENTION.items():
            name = name.replace(f".{new}.", f".{old}.")
    return name


def _resnet(ours: str, theirs: str) -> dict[str, str]:
    return {f"{ours}.{layer}": f"{theirs}.{place}" for layer, place in _RESNET.items()}


def _vae_resnet(ours: str, theirs: str) -> dict[str, str]:
    layers = {name: name for name in ("norm1", "conv1", "norm2", "conv2")} | {"conv_shortcut": "nin_shortcut"}
    return {f"{ours}.{layer}": f"{theirs}.{place}" for layer, place in layers.items()}


def _by_prefix(prefixes: dict[str, str]) -> NameMap:
    def source(name: str) -> str:
        end = len(name)
        while (end := name.rfind(".", 0, end)) > 0:
            place = prefixes.get(name[:end])
            if place is not None:
                return f"{place}{name[end:]}"
        raise KeyError(f"no place in the single-file layout is known for {name}")

    return source
