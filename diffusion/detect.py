"""Tells what a checkpoint holds from the names and shapes of its tensors, never from its file name.

The Stable Diffusion 1 family is recognised at any width and depth: the real model and a reduced one differ only in
numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from diffusion.architecture import Architecture, ClipConfig, UnetConfig, VaeConfig
from diffusion.checkpoint_file import CheckpointFile
from diffusion.ema import ema_shapes
from diffusion.errors import BadConfig, UnsupportedArchitecture
from diffusion.families import recognise
from diffusion.sidecar import Sidecar, read_sidecar, sidecar_from_metadata
from diffusion.values import FileRef

Shapes = Mapping[str, tuple[int, ...]]

UNET = "model.diffusion_model."
VAE = "first_stage_model."
CLIP = "cond_stage_model.transformer."

_SD1_HEADS = 8
_CLIP_HEAD_WIDTH = 64
_CLIP_VOCABULARY = 49_408
_CLIP_WINDOW = 77


def detect_file(file: CheckpointFile, config: FileRef | None) -> Architecture:
    """The architecture of an open file, with its sidecar config, or the config in its metadata, when there is one."""
    if config is not None:
        sidecar = read_sidecar(Path(config.path))
    else:
        sidecar = sidecar_from_metadata(file.path.name, file.metadata)
    return detect(file.shapes, sidecar, name=file.path.name)


def detect(shapes: Shapes, sidecar: Sidecar | None = None, *, name: str = "The file") -> Architecture:
    """The architecture of a Stable Diffusion 1 file, from its shapes and what the sidecar adds.

    Raises UnsupportedArchitecture, saying what was found, and BadConfig when the sidecar contradicts the shapes.
    """
    known = recognise(shapes)
    if known is not None:
        raise UnsupportedArchitecture(f"{name} is {known.name}, which cannot be loaded here.", hint=known.hint)
    reader = _Shapes(_with_ema(shapes), sidecar, name)
    unet = reader.unet() if reader.has(f"{UNET}input_blocks.0.0.weight") else None
    vae = reader.vae() if reader.has(f"{VAE}decoder.conv_in.weight") else None
    clip = reader.clip() if reader.has(f"{CLIP}text_model.embeddings.token_embedding.weight") else None
    if unet is None and vae is None and clip is None:
        raise UnsupportedArchitecture(
            f"{name} holds no model that is known here: {_summary(shapes)}.",
            hint="Choose a Stable Diffusion 1.x checkpoint in its original single-file layout.",
        )
    side = sidecar or Sidecar(name="")
    if unet is not None and clip is not None and unet.context_dim != clip.width:
        raise UnsupportedArchitecture(
            f"{name} has a U-Net that reads text embeddings of width {unet.context_dim} and a text encoder of width "
            f"{clip.width}."
        )
    return Architecture("Stable Diffusion 1", unet, vae, clip, side.prediction or "eps", side.schedule)


def _with_ema(shapes: Shapes) -> Shapes:
    """The shapes with those of the averaged U-Net filled in where the file holds no other."""
    if any(name.startswith(UNET) for name in shapes):
        return shapes
    return {**shapes, **ema_shapes(shapes)}


def _summary(shapes: Shapes) -> str:
    prefixes = sorted({".".join(name.split(".")[:2])[:60] for name in shapes})
    return f"{len(shapes)} tensors, named {', '.join(prefixes[:6])}{' …' if len(prefixes) > 6 else ''}"


class _Shapes:
    def __init__(self, shapes: Shapes, sidecar: Sidecar | None, name: str) -> None:
        self._shapes = shapes
        self._side = sidecar or Sidecar(name="")
        self._name = name

    def has(self, name: str) -> bool:
        return name in self._shapes

    def unet(self) -> UnetConfig:
        first = self._shape(f"{UNET}input_blocks.0.0.weight", 4)
        channels: list[int] = []
        layers: list[int] = []
        depths: list[set[int]] = []
        level_starts = True
        for index in range(1, self._count(f"{UNET}input_blocks.")):
            block = f"{UNET}input_blocks.{index}."
            if self.has(f"{block}0.op.weight"):
                level_starts = True
                continue
            width = self._shape(f"{block}0.out_layers.3.weight", 4)[0]
            if level_starts:
                channels.append(width)
                layers.append(0)
                depths.append(set())
                level_starts = False
            if width != channels[-1]:
                raise self._unsupported("its U-Net changes width within a level")
            layers[-1] += 1
            depths[-1].add(self._count(f"{block}1.transformer_blocks."))
        attended = sorted({depth for each in depths for depth in each if depth})
        if not channels or len(set(layers)) != 1 or any(len(each) != 1 for each in depths) or len(attended) != 1:
            raise self._unsupported("its U-Net has uneven levels")
        outputs = self._count(f"{UNET}output_blocks.")
        if outputs != (layers[0] + 1) * len(channels) or not self.has(f"{UNET}middle_block.2.in_layers.2.weight"):
            raise self._unsupported("its U-Net has had blocks removed")
        attention = tuple(each != {0} for each in depths)
        probe = f"{UNET}input_blocks.{1 + attention.index(True) * (layers[0] + 1)}.1."
        context = self._shape(f"{probe}transformer_blocks.0.attn2.to_k.weight", 2)[1]
        self._agree("model_channels", self._side.model_channels, first[0])
        self._agree("context_dim", self._side.context_dim, context)
        return UnetConfig(
            in_channels=first[1],
            out_channels=self._shape(f"{UNET}out.2.weight", 4)[0],
            channels=tuple(channels),
            layers_per_level=layers[0],
            attention=attention,
            transformer_depth=attended[0],
            context_dim=context,
            heads=tuple(self._unet_heads(width) for width in channels),
            linear_projection=len(self._shapes[f"{probe}proj_in.weight"]) == 2,
            norm_groups=self._groups(channels, self._side.unet_norm_groups, "U-Net"),
        )

    def vae(self) -> VaeConfig:
        encoder = f"{VAE}encoder."
        levels = self._count(f"{encoder}down.")
        if levels == 0:
            raise self._unsupported("its autoencoder has no encoder")
        channels = [self._shape(f"{encoder}down.{level}.block.0.conv2.weight", 4)[0] for level in range(levels)]
        layers = {self._count(f"{encoder}down.{level}.block.") for level in range(levels)}
        ups = {self._count(f"{VAE}decoder.up.{level}.block.") for level in range(levels)}
        if len(layers) != 1 or ups != {next(iter(layers)) + 1}:
            raise self._unsupported("its autoencoder has uneven levels")
        if any(self._count(f"{encoder}down.{level}.attn.") for level in range(levels)):
            raise self._unsupported("its autoencoder attends outside its middle")
        if not self.has(f"{encoder}mid.attn_1.q.weight"):
            raise self._unsupported("its autoencoder does not attend in its middle")
        return VaeConfig(
            in_channels=self._shape(f"{encoder}conv_in.weight", 4)[1],
            latent_channels=self._shape(f"{VAE}decoder.conv_in.weight", 4)[1],
            channels=tuple(channels),
            layers_per_level=next(iter(layers)),
            quant_conv=self.has(f"{VAE}quant_conv.weight"),
            scale=self._side.scale or 0.18215,
            norm_groups=self._groups(channels, self._side.vae_norm_groups, "autoencoder"),
        )

    def clip(self) -> ClipConfig:
        model = f"{CLIP}text_model."
        vocabulary, width = self._shape(f"{model}embeddings.token_embedding.weight", 2)
        heads = self._side.clip_heads or width // _CLIP_HEAD_WIDTH
        if heads == 0 or width % heads:
            raise self._unsupported(
                f"its text encoder is {width} wide, which {heads} heads do not divide",
                "Give `num_heads` under cond_stage_config.params in a .yaml beside it.",
            )
        positions = self._shape(f"{model}embeddings.position_embedding.weight", 2)[0]
        if vocabulary != _CLIP_VOCABULARY or positions != _CLIP_WINDOW:
            raise self._unsupported(
                f"its text encoder reads {positions} of {vocabulary} tokens, and CLIP's {_CLIP_WINDOW} of "
                f"{_CLIP_VOCABULARY}"
            )
        return ClipConfig(
            vocabulary=vocabulary,
            positions=positions,
            width=width,
            layers=self._count(f"{model}encoder.layers."),
            heads=heads,
            feed_forward=self._shape(f"{model}encoder.layers.0.mlp.fc1.weight", 2)[0],
            activation=self._side.clip_activation or "quick_gelu",
        )

    def _unet_heads(self, width: int) -> int:
        per_head = self._side.unet_head_channels
        heads = width // per_head if per_head else self._side.unet_heads or _SD1_HEADS
        if heads == 0 or width % heads:
            raise self._unsupported(
                f"its U-Net is {width} wide, which {heads} heads do not divide",
                "Give `num_heads` under unet_config.params in a .yaml beside it.",
            )
        return heads

    def _groups(self, channels: list[int], given: int | None, part: str) -> int:
        groups = given or 32
        if any(width % groups for width in channels):
            raise self._unsupported(
                f"the widths of its {part} {channels} are not multiples of {groups} norm groups",
                "Give `norm_num_groups` in a .yaml beside it.",
            )
        return groups

    def _agree(self, what: str, given: int | None, found: int) -> None:
        if given is not None and given != found:
            raise BadConfig(
                f"{self._side.name} says `{what}` is {given}, and in {self._name} it is {found}.",
                hint="The config belongs to another checkpoint: correct or remove it.",
            )

    def _count(self, prefix: str) -> int:
        """How many different numbers follow the prefix among the names; they must count up from 0."""
        places = (name[len(prefix) :].partition(".")[0] for name in self._shapes if name.startswith(prefix))
        found = {place for place in places if place.isdecimal()}
        if found != {str(index) for index in range(len(found))}:
            raise self._unsupported(f"the numbers after {prefix} have gaps")
        return len(found)

    def _shape(self, name: str, dimensions: int) -> tuple[int, ...]:
        shape = self._shapes.get(name)
        if shape is None:
            raise self._unsupported(f"it lacks {name}")
        if len(shape) != dimensions:
            raise self._unsupported(f"{name} has the shape {list(shape)}")
        return shape

    def _unsupported(self, what: str, hint: str | None = None) -> UnsupportedArchitecture:
        return UnsupportedArchitecture(f"{self._name} cannot be loaded: {what}.", hint=hint)
