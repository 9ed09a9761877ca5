"""Builds the modules of diffusers and transformers and gives them a file's weights.

A module is made on the meta device, so nothing is initialised only to be overwritten, and each tensor is converted
once, on its way from the file's memory map to the device. None is read here: `held` does it when a model is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

from diffusion.architecture import ClipConfig, TinyVaeConfig, UnetConfig, VaeConfig
from diffusion.checkpoint_file import CheckpointFile
from diffusion.ema import ema_names
from diffusion.errors import CorruptFile, MissingComponent
from diffusion.held import HeldWeights, Read
from diffusion.keys import NameMap, clip_names, missing, unet_names, vae_names
from diffusion.lean import make_lean
from diffusion.placing import Place
from diffusion.upsampling import fold_upsamplers, folded

M = TypeVar("M", bound=nn.Module)

TEXT_WEIGHTS = torch.float16
"""What the weights of text encoders are rounded to, whatever they are stored and computed in. ComfyUI keeps them so on
every device, also when it computes in float32; without the rounding a file in float32 or a LoRA gives other pixels."""

Convert = Callable[[str, Tensor], Tensor]
"""From a parameter's name and its stored tensor to the tensor that the module wants."""


def build_unet(
    config: UnetConfig,
    file: CheckpointFile,
    place: Place,
    *,
    use_ema: bool,
    rounded: torch.dtype | None = None,
) -> UNet2DConditionModel:
    """The U-Net of a file. `use_ema` asks for the averaged weights; they are used anyway when there are no others.
    `rounded` is a type that the weights are rounded to first.

    Raises MissingComponent when the averaged weights are asked for and are not in the file.
    """
    module = unet_skeleton(config)
    source = unet_source(config, file, use_ema=use_ema)
    convert: Convert | None = None if rounded is None else lambda _, stored: stored.to(rounded)
    return fill(module, file, source, place, convert)


def unet_source(config: UnetConfig, file: CheckpointFile, *, use_ema: bool) -> NameMap:
    """Where a file keeps each parameter of its U-Net: of two copies, the one that `use_ema` asks for.

    Raises MissingComponent when the averaged weights are asked for and are not in the file.
    """
    plain = unet_names(config)
    averages = ema_names(file.tensors)
    if use_ema and not averages:
        raise MissingComponent(
            f"{file.path.name} holds no averaged (EMA) weights.", hint="Load it without `use_ema`.", input="use_ema"
        )

    def source(name: str) -> str:
        original = plain(name)
        if use_ema or original not in file.tensors:
            return averages.get(original, original)
        return original

    return source


def unet_skeleton(config: UnetConfig) -> UNet2DConditionModel:
    """A U-Net without weights: its structure and the shapes of its parameters."""
    middle = None
    if config.middle:
        middle = "UNetMidBlock2DCrossAttn" if config.middle_depth else "UNetMidBlock2D"
    down: list[Any] = [list(depths) for depths in config.down_depths]
    up = [list(depths) for depths in config.up_depths]
    if config.middle_depth and not any(down[-1]):
        down[-1] = config.middle_depth  # the middle takes its depth from the last level, which here has no transformer
    options: dict[str, Any] = {}
    if config.vector:
        options = {"class_embed_type": "projection", "projection_class_embeddings_input_dim": config.vector}
    if config.noise_levels:
        options = {"num_class_embeds": config.noise_levels}
    if config.cross_only:
        options["only_cross_attention"] = config.cross_only
    with torch.device("meta"):
        return UNet2DConditionModel(
            in_channels=config.in_channels,
            out_channels=config.out_channels,
            down_block_types=tuple(_block("Down", depths) for depths in config.down_depths),
            mid_block_type=middle,
            up_block_types=tuple(_block("Up", depths) for depths in config.up_depths),
            block_out_channels=config.channels,
            layers_per_block=config.layers_per_level,
            transformer_layers_per_block=cast("tuple[int]", down),
            reverse_transformer_layers_per_block=cast("tuple[tuple[int]]", up),
            cross_attention_dim=config.context_dim,
            attention_head_dim=cast("tuple[int]", config.heads),
            use_linear_projection=config.linear_projection,
            norm_num_groups=config.norm_groups,
            **options,
        )


def _block(way: str, depths: tuple[int, ...]) -> str:
    return f"CrossAttn{way}Block2D" if any(depths) else f"{way}Block2D"


def build_vae(config: VaeConfig, file: CheckpointFile, place: Place) -> AutoencoderKL:
    """The autoencoder of a file."""
    module = vae_skeleton(config)
    folding = fold_upsamplers(module, place.device, place.dtype)

    def convert(name: str, stored: Tensor) -> Tensor:
        return folded(stored) if name in folding and stored.shape[2:] == (3, 3) else stored

    return fill(module, file, vae_source(config, file), place, convert)


def vae_source(config: VaeConfig, file: CheckpointFile) -> NameMap:
    """Where a file keeps each parameter of its autoencoder."""
    old = f"{config.root}decoder.mid_block.attentions.0.query.weight" in file.tensors
    return vae_names(config, old_attention=old)


def vae_skeleton(config: VaeConfig) -> AutoencoderKL:
    """An autoencoder without weights."""
    levels = len(config.channels)
    shape: dict[str, Any] = {
        "down_block_types": ("DownEncoderBlock2D",) * levels,
        "up_block_types": ("UpDecoderBlock2D",) * levels,
        "block_out_channels": config.channels,
    }
    with torch.device("meta"):
        return AutoencoderKL(
            in_channels=config.in_channels,
            out_channels=config.in_channels,
            **shape,
            layers_per_block=config.layers_per_level,
            latent_channels=config.latent_channels,
            norm_num_groups=config.norm_groups,
            use_quant_conv=config.quant_conv,
            use_post_quant_conv=config.quant_conv,
        )


def build_tiny_vae(
    config: TinyVaeConfig,
    encoder: CheckpointFile | None,
    decoder: CheckpointFile | None,
    place: Place,
) -> AutoencoderTiny:
    """A tiny autoencoder; its sides may come from two files, and one may be missing.

    The original numbers the decoder's layers from the clamp before them, which has no weights.
    """
    with torch.device("meta"):
        module = AutoencoderTiny(latent_channels=config.latent_channels)
    found: dict[str, Read] = {}
    for name, side, file, root, shift in (
        ("encoder", module.encoder, encoder, config.encoder, 0),
        ("decoder", module.decoder, decoder, config.decoder, 1 if config.layout == "original" else 0),
    ):
        if file is not None and root is not None:
            found |= _below(name, reads(side, file, _tiny_names(root, shift)))
    HeldWeights(module, found, place, close=_closer((encoder, decoder)))
    return module.requires_grad_(False).eval()


def _tiny_names(root: str, shift: int) -> NameMap:
    def source(name: str) -> str:
        place, _, rest = name.removeprefix("layers.").partition(".")
        return f"{root}{int(place) + shift}.{rest}"

    return source


def build_clip(configs: Sequence[ClipConfig], files: Sequence[CheckpointFile], place: Place) -> nn.ModuleList:
    """The text encoders, each from the file beside it. Stored position ids are not read: they are 0, 1, 2 … by
    definition, and some files hold them rounded."""
    modules = clip_skeleton(configs)
    found: dict[str, Read] = {}
    for index, (module, config, file) in enumerate(zip(modules, configs, files, strict=True)):
        found |= _below(str(index), reads(module, file, clip_names(config), text_weights(config)))
        number_positions(module, place.device)
    HeldWeights(modules, found, place, close=_closer(files))
    return modules.requires_grad_(False).eval()


def number_positions(module: nn.Module, device: torch.device) -> None:
    """Give a CLIP model that was made without weights its position ids."""
    for name, buffer in list(module.named_buffers()):
        if name.endswith("position_ids"):
            owner = module.get_submodule(name.rpartition(".")[0])
            ids = torch.arange(buffer.shape[-1], device=device).expand(buffer.shape)
            owner.register_buffer("position_ids", ids, persistent=False)


def _below(name: str, found: dict[str, Read]) -> dict[str, Read]:
    return {f"{name}.{each}": read for each, read in found.items()}


def _closer(files: Sequence[CheckpointFile | None]) -> Callable[[], None]:
    def close() -> None:
        for file in files:
            if file is not None:
                file.close()

    return close


def clip_skeleton(configs: Sequence[ClipConfig]) -> nn.ModuleList:
    """Text encoders without weights. One that projects its pooled vector has a layer `text_projection`."""
    modules: list[nn.Module] = []
    with torch.device("meta"):
        for config in configs:
            module = CLIPTextModel(
                CLIPTextConfig(
                    vocab_size=config.vocabulary,
                    hidden_size=config.width,
                    intermediate_size=config.feed_forward,
                    num_hidden_layers=config.layers,
                    num_attention_heads=config.heads,
                    max_position_embeddings=config.positions,
                    hidden_act=config.activation,
                    projection_dim=config.projection or config.width,
                )
            )
            if config.projection:
                module.add_module("text_projection", nn.Linear(config.width, config.projection, bias=False))
            modules.append(module)
    return nn.ModuleList(modules)


def text_weights(config: ClipConfig) -> Convert:
    """How the weights of a text encoder are read from its file."""
    if config.layout == "open_clip":
        return lambda name, stored: from_open_clip(name, stored).to(TEXT_WEIGHTS)
    return lambda _, stored: stored.to(TEXT_WEIGHTS)


def from_open_clip(name: str, stored: Tensor) -> Tensor:
    """OpenCLIP stacks the three projections of attention, and multiplies by its text projection from the right."""
    if name == "text_projection.weight":
        return stored.T.contiguous()
    for place, part in enumerate(("q_proj", "k_proj", "v_proj")):
        if f".{part}." in name and stored.shape[0] % 3 == 0:
            return stored.chunk(3)[place]
    return stored


def fill(module: M, file: CheckpointFile, source: NameMap, place: Place, convert: Convert | None = None) -> M:
    """Give a module without weights those of a file: `source` says where each lies, `convert` changes it first. None is
    read before it is needed, or held.

    Raises CorruptFile when the file lacks one. One of another shape raises it when it is read.
    """
    make_lean(module)
    HeldWeights(module, reads(module, file, source, convert), place, close=file.close)
    return module.requires_grad_(False).eval()


def reads(module: nn.Module, file: CheckpointFile, source: NameMap, convert: Convert | None = None) -> dict[str, Read]:
    """How each weight of a module is read from a file. Raises CorruptFile when the file lacks one."""
    wanted = {name: value for name, value in module.state_dict().items() if not name.endswith("position_ids")}
    lacking = missing(wanted, source, file.tensors)
    if lacking:
        raise CorruptFile(
            f"{file.path.name} lacks {len(lacking)} of the {len(wanted)} tensors of its {type(module).__name__}, "
            f"{lacking[0]} the first.",
            hint="Download the file again.",
        )

    def reader(name: str, value: Tensor) -> Read:
        def read() -> Tensor:
            stored = file.tensor(source(name))
            return fitted(file, source(name), stored if convert is None else convert(name, stored), value)

        return read

    return {name: reader(name, value) for name, value in wanted.items()}


def fitted(file: CheckpointFile, name: str, stored: Tensor, wanted: Tensor) -> Tensor:
    """The stored tensor in the shape that the module wants; a 1×1 convolution may be a linear layer, or the other way
    round."""
    if stored.shape == wanted.shape:
        return stored
    if _without_kernel(stored.shape) != _without_kernel(wanted.shape):
        raise CorruptFile(
            f"{file.path.name}: {name} has the shape {list(stored.shape)} where {list(wanted.shape)} is needed."
        )
    return stored.reshape(wanted.shape)


def _without_kernel(shape: torch.Size) -> tuple[int, ...]:
    return tuple(shape[:2]) if tuple(shape[2:]) == (1, 1) else tuple(shape)
