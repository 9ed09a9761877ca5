"""Maps the parameter names of the modules that run a model to the names in its original single file.

The original latent-diffusion layout numbers blocks in one sequence and names layers by position; diffusers' modules
nest them by resolution. The maps are generated from the architecture, so they hold at every width and depth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from diffusion.architecture import UnetConfig, VaeConfig
from diffusion.detect import CLIP, UNET, VAE

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


def unet_names(config: UnetConfig) -> NameMap:
    """For a UNet2DConditionModel."""
    prefixes: dict[str, str] = {
        "conv_in": "input_blocks.0.0",
        "time_embedding.linear_1": "time_embed.0",
        "time_embedding.linear_2": "time_embed.2",
        "conv_norm_out": "out.0",
        "conv_out": "out.2",
        "mid_block.attentions.0": "middle_block.1",
        **_resnet("mid_block.resnets.0", "middle_block.0"),
        **_resnet("mid_block.resnets.1", "middle_block.2"),
    }
    levels = len(config.channels)
    index = 0
    for level in range(levels):
        for layer in range(config.layers_per_level):
            index += 1
            prefixes |= _resnet(f"down_blocks.{level}.resnets.{layer}", f"input_blocks.{index}.0")
            prefixes[f"down_blocks.{level}.attentions.{layer}"] = f"input_blocks.{index}.1"
        if level < levels - 1:
            index += 1
            prefixes[f"down_blocks.{level}.downsamplers.0.conv"] = f"input_blocks.{index}.0.op"
    index = -1
    for up in range(levels):
        level = levels - 1 - up
        for layer in range(config.layers_per_level + 1):
            index += 1
            prefixes |= _resnet(f"up_blocks.{up}.resnets.{layer}", f"output_blocks.{index}.0")
            prefixes[f"up_blocks.{up}.attentions.{layer}"] = f"output_blocks.{index}.1"
        place = 2 if config.attention[level] else 1
        prefixes[f"up_blocks.{up}.upsamplers.0.conv"] = f"output_blocks.{index}.{place}.conv"
    return _by_prefix(prefixes, UNET)


def vae_names(config: VaeConfig) -> NameMap:
    """For an AutoencoderKL."""
    prefixes = {"quant_conv": "quant_conv", "post_quant_conv": "post_quant_conv"}
    levels = len(config.channels)
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
        for layer in range(config.layers_per_level + 1):
            prefixes |= _vae_resnet(
                f"encoder.down_blocks.{level}.resnets.{layer}", f"encoder.down.{level}.block.{layer}"
            )
            prefixes |= _vae_resnet(f"decoder.up_blocks.{up}.resnets.{layer}", f"decoder.up.{level}.block.{layer}")
        prefixes[f"encoder.down_blocks.{level}.downsamplers.0.conv"] = f"encoder.down.{level}.downsample.conv"
        prefixes[f"decoder.up_blocks.{up}.upsamplers.0.conv"] = f"decoder.up.{level}.upsample.conv"
    return _by_prefix(prefixes, VAE)


def clip_names(name: str) -> str:
    """For a CLIPTextModel, whether or not this version of transformers nests it in `text_model`."""
    return f"{CLIP}text_model.{name.removeprefix('text_model.')}"


def missing(names: Iterable[str], source: NameMap, available: Iterable[str]) -> list[str]:
    """The names in the file that a module needs and the file lacks."""
    there = set(available)
    return [source(name) for name in names if source(name) not in there]


def _resnet(ours: str, theirs: str) -> dict[str, str]:
    return {f"{ours}.{layer}": f"{theirs}.{place}" for layer, place in _RESNET.items()}


def _vae_resnet(ours: str, theirs: str) -> dict[str, str]:
    layers = {name: name for name in ("norm1", "conv1", "norm2", "conv2")} | {"conv_shortcut": "nin_shortcut"}
    return {f"{ours}.{layer}": f"{theirs}.{place}" for layer, place in layers.items()}


def _by_prefix(prefixes: dict[str, str], root: str) -> NameMap:
    def source(name: str) -> str:
        end = len(name)
        while (end := name.rfind(".", 0, end)) > 0:
            place = prefixes.get(name[:end])
            if place is not None:
                return f"{root}{place}{name[end:]}"
        raise KeyError(f"no place in the single-file layout is known for {name}")

    return source
