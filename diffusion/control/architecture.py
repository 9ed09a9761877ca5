"""Tells what control network a file holds, from the names and shapes of its tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from diffusion.architecture import UNET_ROOT, family_by_context
from diffusion.checkpoint_file import CheckpointFile
from diffusion.control.adapter import AdapterConfig, read_adapter
from diffusion.control.union import UnionConfig, is_union_part, read_union
from diffusion.detection.shapes import ShapeMap, Shapes
from diffusion.errors import UnsupportedArchitecture
from diffusion.families import recognise
from diffusion.keys import NameMap, diffusers_unet_names
from diffusion.sidecar import Sidecar

_HINT = "controlnet_cond_embedding."
_HINT_BLOCK = "input_hint_block."
_WHERE = "Choose a ControlNet of the model's family from models/controlnet."
_HEADS = 8
_HEAD_WIDTH = 64


@dataclass(frozen=True, slots=True)
class ControlConfig:
    """A control network. `depths` are the transformer blocks in the layers of each level, the finest first; `hint` the
    widths of the convolutions that read the picture; `vector` the width of the vector it reads beside the prompt, or 0;
    `difference` says that its weights are the difference to a U-Net's.
    """

    in_channels: int
    channels: tuple[int, ...]
    layers_per_level: int
    depths: tuple[int, ...]
    middle_depth: int
    context_dim: int
    heads: tuple[int, ...]
    linear_projection: bool
    hint_channels: int
    hint: tuple[int, ...]
    vector: int
    root: str
    layout: Literal["original", "diffusers"]
    union: UnionConfig | None = None
    difference: bool = False

    @property
    def family(self) -> str:
        """The family of models that it was trained for."""
        return family_by_context(self.context_dim)


@dataclass(frozen=True, slots=True)
class ControlLoraConfig:
    """A Control-LoRA, which makes a control network of the model that samples. `hint_channels` and `hint` are as in
    ControlConfig; `context_dim` is the width of the prompts of the model that it was made for, 0 where it is silent."""

    hint_channels: int
    hint: tuple[int, ...]
    context_dim: int


def read_control(file: CheckpointFile) -> ControlConfig | ControlLoraConfig | AdapterConfig:
    """The control network, Control-LoRA or T2I-Adapter in a file.

    Raises UnsupportedArchitecture, with what was found in its place.
    """
    shapes = file.shapes
    name = file.path.name
    adapter = read_adapter(shapes, name)
    if adapter is not None:
        return adapter
    if "lora_controlnet" in shapes:
        return _read_lora(Shapes(shapes, Sidecar(name=""), name))
    if f"{UNET_ROOT}input_blocks.0.0.weight" in shapes:
        raise UnsupportedArchitecture(f"{name} is a whole checkpoint, not a ControlNet.", hint=_WHERE)
    for root in ("control_model.", ""):
        if f"{root}{_HINT_BLOCK}0.weight" in shapes:
            return _read(Shapes(shapes, Sidecar(name=""), name), root, root, "original")
    if f"{_HINT}conv_in.weight" in shapes:
        original = _by_original_names(shapes, name)
        return _read(Shapes(original, Sidecar(name=""), name), "", "", "diffusers")
    known = recognise(shapes)
    raise UnsupportedArchitecture(
        f"{name} is {known.name}, not a ControlNet." if known else f"{name} holds no ControlNet that is known here.",
        hint=_WHERE,
    )


def control_names(config: ControlConfig) -> NameMap:
    """From the parameter names of diffusers' module to those in the file."""
    if config.layout == "diffusers":
        return lambda name: name.replace("class_embedding.linear", "add_embedding.linear", 1)
    original = original_control_names(config)
    return lambda name: config.root + original(name)


def original_control_names(config: ControlConfig) -> NameMap:
    """From the parameter names of diffusers' module to those of the original layout, without a root."""
    return _original_names(len(config.channels), config.layers_per_level, len(config.hint))


def _original_names(levels: int, layers: int, hints: int) -> NameMap:
    unet = diffusers_unet_names(levels, layers, [False] * levels)
    own = {f"{_HINT}conv_in": f"{_HINT_BLOCK}0", f"{_HINT}conv_out": f"{_HINT_BLOCK}{4 * hints - 2}"}
    own |= {f"{_HINT}blocks.{index}": f"{_HINT_BLOCK}{2 * index + 2}" for index in range(2 * hints - 2)}
    own |= {f"controlnet_down_blocks.{index}": f"zero_convs.{index}.0" for index in range(levels * (layers + 1))}
    own["controlnet_mid_block"] = "middle_block_out.0"

    def source(name: str) -> str:
        layer, _, leaf = name.rpartition(".")
        return f"{own[layer]}.{leaf}" if layer in own else unet(name)

    return source


def _by_original_names(shapes: ShapeMap, name: str) -> ShapeMap:
    """The shapes of a file in diffusers' layout, by the original names."""
    file = Shapes(shapes, Sidecar(name=""), name)
    hints = file.count(f"{_HINT}blocks.") // 2 + 1
    original = _original_names(file.count("down_blocks."), file.count("down_blocks.0.resnets."), hints)
    found: dict[str, tuple[int, ...]] = {}
    for each, shape in shapes.items():
        try:
            found[each if is_union_part(each) else original(each)] = shape
        except KeyError as error:
            raise file.unsupported(f"it has parts that are not known here, such as {each}", _WHERE) from error
    return found


def _read(file: Shapes, root: str, given_root: str, layout: Literal["original", "diffusers"]) -> ControlConfig:
    first = file.shape(f"{root}input_blocks.0.0.weight", 4)
    channels: list[int] = []
    depths: list[set[int]] = []
    new_level = True
    for index in range(1, file.count(f"{root}input_blocks.")):
        block = f"{root}input_blocks.{index}."
        if file.has(f"{block}0.op.weight"):
            new_level = True
            continue
        if new_level:
            channels.append(file.shape(f"{block}0.out_layers.3.weight", 4)[0])
            depths.append(set())
            new_level = False
        depths[-1].add(file.count(f"{block}1.transformer_blocks."))
    levels = len(channels)
    layers, left = divmod(file.count(f"{root}input_blocks.") - levels, max(levels, 1))
    attending = [level for level, found in enumerate(depths) if found != {0}]
    if left or not attending or any(len(found) != 1 for found in depths):
        raise file.unsupported("its ControlNet has uneven levels")
    probe = f"{root}input_blocks.{1 + attending[0] * (layers + 1)}.1."
    linear = len(file.shapes.get(f"{probe}proj_in.weight", ())) == 2
    return ControlConfig(
        in_channels=first[1],
        channels=tuple(channels),
        layers_per_level=layers,
        depths=tuple(next(iter(found)) for found in depths),
        middle_depth=file.count(f"{root}middle_block.1.transformer_blocks."),
        context_dim=file.shape(f"{probe}transformer_blocks.0.attn2.to_k.weight", 2)[1],
        heads=tuple(width // _HEAD_WIDTH if linear else _HEADS for width in channels),
        linear_projection=linear,
        hint_channels=file.shape(f"{root}{_HINT_BLOCK}0.weight", 4)[1],
        hint=_hint_widths(file, root),
        vector=file.shapes.get(f"{root}label_emb.0.0.weight", (0, 0))[1],
        root=given_root,
        layout=layout,
        union=read_union(file, root),
        difference=file.has("difference"),
    )


def _read_lora(file: Shapes) -> ControlLoraConfig:
    readers = [f"attn2.to_k.{part}" for part in ("down", "weight")]
    widths = (shape[1] for name, shape in file.shapes.items() if name.endswith(tuple(readers)) and len(shape) == 2)
    channels = file.shape(f"{_HINT_BLOCK}0.weight", 4)[1]
    return ControlLoraConfig(channels, _hint_widths(file, ""), next(widths, 0))


def _hint_widths(file: Shapes, root: str) -> tuple[int, ...]:
    """The widths of the convolutions that read the picture, of which each but the last comes with one that shrinks."""
    count = sum(name.startswith(f"{root}{_HINT_BLOCK}") and name.endswith(".weight") for name in file.shapes) // 2
    return tuple(file.shape(f"{root}{_HINT_BLOCK}{4 * index}.weight", 4)[0] for index in range(count))
