"""Files that are recognised but not run: what to call them, and what to do instead.

A file is told by the names and shapes of its tensors. The table is tried in order; the first match names the file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

Shapes = Mapping[str, tuple[int, ...]]

_UNET = "model.diffusion_model."


@dataclass(frozen=True, slots=True)
class Recognised:
    """A kind of file, the test that tells it, and where such a file belongs."""

    name: str
    matches: Callable[[Shapes], bool]
    hint: str = "Choose a Stable Diffusion 1.x checkpoint: other families are not supported yet."


def _has(*parts: str) -> Callable[[Shapes], bool]:
    return lambda shapes: any(part in name for name in shapes for part in parts)


def _starts(*prefixes: str) -> Callable[[Shapes], bool]:
    return lambda shapes: any(name.startswith(prefixes) for name in shapes)


def _input_channels(count: int) -> Callable[[Shapes], bool]:
    def matches(shapes: Shapes) -> bool:
        shape = shapes.get(f"{_UNET}input_blocks.0.0.weight", ())
        return len(shape) == 4 and shape[1] == count

    return matches


RECOGNISED: tuple[Recognised, ...] = (
    Recognised(
        "a LoRA",
        _has("lora_up.weight", "lora_A.weight", "lora_B.weight", "hada_w1_a", "lokr_w1"),
        "Put it into models/loras.",
    ),
    Recognised(
        "a ControlNet",
        _has("control_model.", "zero_convs.", "controlnet_cond_embedding"),
        "Put it into models/controlnet.",
    ),
    Recognised(
        "a textual-inversion embedding", _has("emb_params", "string_to_param"), "Put it into models/embeddings."
    ),
    Recognised("FLUX", _has("double_blocks.", "single_transformer_blocks.")),
    Recognised("Stable Diffusion 3", _has("joint_blocks.")),
    Recognised("Stable Cascade", _has("effnet_mapper", "clip_txt_pooled_mapper")),
    Recognised(
        "SDXL refiner",
        lambda shapes: f"{_UNET}label_emb.0.0.weight" in shapes and not _starts("conditioner.embedders.1.")(shapes),
    ),
    Recognised("SDXL", _starts("conditioner.embedders.", f"{_UNET}label_emb.0.0")),
    Recognised("the Stable Diffusion x4 upscaler", _starts(f"{_UNET}label_emb.weight")),
    Recognised("Stable Diffusion 2.x", _starts("cond_stage_model.model.")),
    Recognised("a Stable Diffusion inpainting model", _input_channels(9)),
    Recognised("an instruct-pix2pix model", _input_channels(8)),
    Recognised("a diffusers folder's U-Net", _starts("down_blocks.", "mid_block.")),
    Recognised("an upscaler", _has("RRDB_trunk", "body.0.rdb1", "model.1.sub.0")),
)


def recognise(shapes: Shapes) -> Recognised | None:
    """The kind of file that this is, when it is one that is known but not run."""
    return next((kind for kind in RECOGNISED if kind.matches(shapes)), None)
