"""Reads the text encoders of a file from the shapes of its tensors.

Three of CLIP's are known. CLIP-L (Stable Diffusion 1) reads its last layer, through the final norm, and pads with the
end token. OpenCLIP's ViT-H (Stable Diffusion 2) reads the layer before the last, through the norm, and pads with 0.
SDXL joins CLIP-L and OpenCLIP's ViT-bigG, of both the layer before the last as it is. A window has as many tokens as
the file has positions: 77, or 248 of Long-CLIP (Zhang et al. 2024).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from diffusion.architecture import ClipConfig
from diffusion.detection.shapes import Shapes

_HEAD_WIDTH = 64
_VOCABULARY = 49_408
_OUTER = 2
"""The tokens of a window that are none of the prompt's: its start and its end."""
_WIDE = 1024
_H_LAYERS = 24

_TRANSFORMERS_ROOTS = ("cond_stage_model.transformer.", "text_encoder.", "transformer.", "")
_OPEN_CLIP_ROOTS = ("cond_stage_model.model.", "model.", "")


def read_clip(file: Shapes) -> tuple[ClipConfig, ...]:
    """The text encoders of a file, in the order in which their embeddings are joined."""
    pair = (_at(file, "conditioner.embedders.0."), _at(file, "conditioner.embedders.1."))
    found = tuple(each for each in pair if each is not None)
    if len(found) == 1 and found[0].width == _WIDE:  # Stable Diffusion 2 in the layout that SDXL brought
        return found
    if found:
        return tuple(_for_xl(each) for each in found)
    for root in _TRANSFORMERS_ROOTS:
        if (config := _transformers(file, root)) is not None:
            return (config,)
    for root in _OPEN_CLIP_ROOTS:
        if (config := _open_clip(file, root)) is not None:
            return (config,)
    return ()


def for_xl(found: Sequence[tuple[ClipConfig, ...]]) -> tuple[ClipConfig, ...] | None:
    """The encoders of two files as SDXL joins them, CLIP-L and then ViT-bigG; None when they are others."""
    first = found[0][0]
    if len(found) != 2 or any(len(each) != 1 for each in found) or first.pad == 0 or found[1][0].pad != 0:
        return None
    return tuple(_for_xl(each[0]) for each in found)


def _at(file: Shapes, root: str) -> ClipConfig | None:
    return _transformers(file, f"{root}transformer.") or _open_clip(file, f"{root}model.")


def _for_xl(config: ClipConfig) -> ClipConfig:
    return replace(config, default_layer=-2, norm_hidden=False)


def _transformers(file: Shapes, root: str) -> ClipConfig | None:
    for model in (f"{root}text_model.", root):
        if file.has(f"{model}embeddings.token_embedding.weight"):
            break
    else:
        return None
    vocabulary, width = file.shape(f"{model}embeddings.token_embedding.weight", 2)
    positions = file.shape(f"{model}embeddings.position_embedding.weight", 2)[0]
    projection = file.shapes.get(f"{root}text_projection.weight", (0, 0))
    config = ClipConfig(
        vocabulary=vocabulary,
        positions=positions,
        width=width,
        layers=file.count(f"{model}encoder.layers."),
        heads=_heads(file, width),
        feed_forward=file.shape(f"{model}encoder.layers.0.mlp.fc1.weight", 2)[0],
        activation=file.side.clip_activation or ("gelu" if width >= _WIDE else "quick_gelu"),
        projection=projection[0],
        root=model,
    )
    return _checked(file, _as_open_clip(config) if width >= _WIDE else config)


def _open_clip(file: Shapes, root: str) -> ClipConfig | None:
    if not file.has(f"{root}token_embedding.weight") or not file.starts(f"{root}transformer.resblocks."):
        return None
    vocabulary, width = file.shape(f"{root}token_embedding.weight", 2)
    projection = file.shapes.get(f"{root}text_projection", (0, 0))
    config = ClipConfig(
        vocabulary=vocabulary,
        positions=file.shape(f"{root}positional_embedding", 2)[0],
        width=width,
        layers=file.count(f"{root}transformer.resblocks."),
        heads=_heads(file, width),
        feed_forward=file.shape(f"{root}transformer.resblocks.0.mlp.c_fc.weight", 2)[0],
        activation=file.side.clip_activation or "gelu",
        projection=projection[-1],
        root=root,
        layout="open_clip",
    )
    return _checked(file, _as_open_clip(config))


def _as_open_clip(config: ClipConfig) -> ClipConfig:
    """How ViT-H and ViT-bigG are read. diffusers keeps only 23 of ViT-H's 24 layers, whose last is then the one to
    read."""
    dropped = 1 if config.width == _WIDE and config.layers == _H_LAYERS - 1 else 0
    return replace(config, pad=0, default_layer=-2, norm_hidden=config.layers <= _H_LAYERS, dropped_layers=dropped)


def _heads(file: Shapes, width: int) -> int:
    heads = file.side.clip_heads or width // _HEAD_WIDTH
    if heads == 0 or width % heads:
        raise file.unsupported(
            f"its text encoder is {width} wide, which {heads} heads do not divide",
            "Give `num_heads` under cond_stage_config.params in a .yaml beside it.",
        )
    return heads


def _checked(file: Shapes, config: ClipConfig) -> ClipConfig:
    if config.vocabulary != _VOCABULARY:
        raise file.unsupported(f"its text encoder knows {config.vocabulary} tokens, and CLIP's {_VOCABULARY}")
    if config.positions <= _OUTER:
        raise file.unsupported(f"its text encoder reads windows of {config.positions} tokens")
    return config
