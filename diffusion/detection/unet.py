"""Reads a U-Net's architecture from the shapes of its tensors, in the original layout or in diffusers'.

The way down and the way up are read block by block, so that distillations with blocks left out (BK-SDM, Segmind's
small, tiny and SSD-1B, KOALA) are recognised like the models they come from.
"""

from __future__ import annotations

from dataclasses import replace

from diffusion.architecture import SIZE_WIDTH, UnetConfig
from diffusion.detection.shapes import ShapeMap, Shapes
from diffusion.keys import diffusers_unet_names

_HEADS = 8
_HEAD_WIDTH = 64
_GUIDANCE_INPUT = "time_embedding.cond_proj.weight"
"""By it a latent consistency model reads the guidance scale, which samplers here apply themselves."""

_ROOTS = ("model.diffusion_model.", "diffusion_model.", "unet.", "")


def read_unet(file: Shapes) -> UnetConfig | None:
    """The U-Net of a file, or None when it holds none. Raises UnsupportedArchitecture when it is of another kind."""
    for root in _ROOTS:
        if file.has(f"{root}input_blocks.0.0.weight"):
            return _read(file, root)
        if file.has(f"{root}conv_in.weight") and file.has(f"{root}down_blocks.0.resnets.0.conv1.weight"):
            if not file.has(f"{root}time_embedding.linear_1.weight"):
                continue
            translated = Shapes(_original_names(file, root), file.side, file.name)
            return replace(_read(translated, ""), root=root, layout="diffusers")
    return None


def _read(file: Shapes, root: str) -> UnetConfig:
    first = file.shape(f"{root}input_blocks.0.0.weight", 4)
    out_channels = file.shape(f"{root}out.2.weight", 4)[0]
    channels, down = _way_down(file, root)
    layers = len(down[0])
    up = _way_up(file, root, channels, layers)
    if any(len(depths) != layers for depths in down) or not any(any(depths) for depths in down):
        raise file.unsupported("its U-Net has uneven levels")
    middle_depth = _middle(file, root)
    linear, context, cross = _transformers(file, root, down, layers)
    if middle_depth and down[-1][-1] not in (0, middle_depth):
        raise file.unsupported("its U-Net's middle differs in depth from the level before it")
    file.agree("model_channels", file.side.model_channels, first[0])
    file.agree("context_dim", file.side.context_dim, context)
    vector = file.shapes.get(f"{root}label_emb.0.0.weight", (0, 0))
    table = file.shapes.get(f"{root}label_emb.weight", (0, 0))
    if len(vector) != 2 or len(table) != 2:
        raise file.unsupported(f"{root}label_emb has a shape that no known model has")
    config = UnetConfig(
        in_channels=first[1],
        out_channels=out_channels,
        channels=tuple(channels),
        layers_per_level=layers,
        down_depths=tuple(down),
        up_depths=tuple(up),
        middle_depth=middle_depth,
        middle=file.starts(f"{root}middle_block."),
        context_dim=context,
        heads=tuple(_heads(file, width, linear and not table[0]) for width in channels),
        cross_only=cross,
        linear_projection=linear,
        norm_groups=file.groups(channels, file.side.unet_norm_groups, "U-Net"),
        vector=vector[1],
        numbers=_numbers(vector[1], context),
        noise_levels=table[0],
        root=root,
    )
    _check_inputs(file, config)
    return config


def _way_down(file: Shapes, root: str) -> tuple[list[int], list[tuple[int, ...]]]:
    """The width of each level, and the depths of its layers."""
    channels: list[int] = []
    depths: list[tuple[int, ...]] = []
    new_level = True
    for index in range(1, file.count(f"{root}input_blocks.")):
        block = f"{root}input_blocks.{index}."
        if file.has(f"{block}0.op.weight"):
            new_level = True
            continue
        width = file.shape(f"{block}0.out_layers.3.weight", 4)[0]
        if new_level:
            channels.append(width)
            depths.append(())
            new_level = False
        if width != channels[-1]:
            raise file.unsupported("its U-Net changes width within a level")
        depths[-1] = (*depths[-1], _depth(file, block))
    if not channels:
        raise file.unsupported("its U-Net has no levels")
    for level in depths:
        _even(file, level)
    return channels, depths


def _way_up(file: Shapes, root: str, channels: list[int], layers: int) -> list[tuple[int, ...]]:
    """The depths of the layers on the way up, from the coarsest level."""
    blocks = file.count(f"{root}output_blocks.")
    if blocks != (layers + 1) * len(channels):
        raise file.unsupported("its U-Net has had blocks removed that its way up needs")
    depths = [_depth(file, f"{root}output_blocks.{index}.") for index in range(blocks)]
    levels = [tuple(depths[start : start + layers + 1]) for start in range(0, blocks, layers + 1)]
    for level in levels:
        _even(file, level)
    return levels


def _even(file: Shapes, depths: tuple[int, ...]) -> None:
    if any(depths) and not all(depths):
        raise file.unsupported("its U-Net attends in some layers of a level and not in others")


def _depth(file: Shapes, block: str) -> int:
    depth = file.count(f"{block}1.transformer_blocks.")
    if depth == 0 and (file.has(f"{block}1.qkv.weight") or file.has(f"{block}1.norm.weight")):
        raise file.unsupported(f"its U-Net attends without a prompt in {block}1")
    return depth


def _middle(file: Shapes, root: str) -> int | None:
    """The depth of the middle's transformer; None when it has none, or there is no middle."""
    middle = f"{root}middle_block."
    depth = file.count(f"{middle}1.transformer_blocks.")
    if not file.starts(middle):
        return None
    whole = file.has(f"{middle}2.in_layers.2.weight")
    if not file.has(f"{middle}0.in_layers.2.weight") or whole != (depth > 0):
        raise file.unsupported("its U-Net has had blocks removed from its middle")
    return depth or None


def _transformers(
    file: Shapes, root: str, down: list[tuple[int, ...]], layers: int
) -> tuple[bool, int, tuple[bool, ...]]:
    """Whether the projections around the transformers are linear, the width of the prompt's embedding, and the levels
    that look at the prompt in place of themselves."""
    cross: list[bool] = []
    linear, context = False, 0
    for level, depths in enumerate(down):
        if not any(depths):
            cross.append(False)
            continue
        block = f"{root}input_blocks.{1 + level * (layers + 1)}.1."
        context = file.shape(f"{block}transformer_blocks.0.attn2.to_k.weight", 2)[1]
        own = file.shape(f"{block}transformer_blocks.0.attn1.to_k.weight", 2)
        linear = len(file.shapes.get(f"{block}proj_in.weight", ())) == 2
        cross.append(own[0] != own[1] and own[1] == context)
    return linear, context, tuple(cross) if any(cross) else ()


def _heads(file: Shapes, width: int, fixed_width: bool) -> int:
    """Models with linear projections (SD 2 on) have heads of 64 channels, those before eight heads."""
    side = file.side
    per_head = side.unet_head_channels or (_HEAD_WIDTH if fixed_width and not side.unet_heads else None)
    heads = width // per_head if per_head else side.unet_heads or _HEADS
    if heads == 0 or width % heads:
        raise file.unsupported(
            f"its U-Net is {width} wide, which {heads} heads do not divide",
            "Give `num_heads` under unet_config.params in a .yaml beside it.",
        )
    return heads


def _numbers(vector: int, context: int) -> int:
    """How many numbers are in the vector. The refiner's holds the prompt's pooled embedding, as wide as its tokens',
    and five numbers; the base model's holds the larger encoder's pooled embedding and six."""
    if vector == 0:
        return 0
    return 5 if vector == context + 5 * SIZE_WIDTH else 6


def _check_inputs(file: Shapes, config: UnetConfig) -> None:
    extra = config.extra_channels
    if config.out_channels != 4 or extra not in (0, 3, 4, 5) or (extra == 3) != (config.noise_levels > 0):
        raise file.unsupported(
            f"its U-Net takes {config.in_channels} channels and gives {config.out_channels}; known are 4 (text to "
            "image), 7 (x4 upscaler), 8 (edit by instruction) and 9 (inpainting), which give 4"
        )
    if config.vector and config.vector <= config.numbers * SIZE_WIDTH:
        raise file.unsupported(f"its U-Net reads a vector of {config.vector} numbers, as no known model does")


def _original_names(file: Shapes, root: str) -> ShapeMap:
    """The shapes of a U-Net in diffusers' layout, by their original names."""
    levels = file.count(f"{root}down_blocks.")
    layers = file.count(f"{root}down_blocks.0.resnets.")
    if levels > len(file.shapes) or file.count(f"{root}up_blocks.") != levels:
        raise file.unsupported("its U-Net has uneven levels")
    attends = [file.starts(f"{root}up_blocks.{up}.attentions.") for up in range(levels)]
    original = diffusers_unet_names(levels, layers, attends)
    found: dict[str, tuple[int, ...]] = {}
    for name, shape in file.shapes.items():
        if name.startswith(root) and not name.endswith(_GUIDANCE_INPUT):
            try:
                found[original(name.removeprefix(root))] = shape
            except KeyError as error:
                raise file.unsupported(f"its U-Net has parts that are not known here, such as {name}") from error
    return found
