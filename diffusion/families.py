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
    hint: str = "Choose a Stable Diffusion 1.x, 2.x or SDXL file: other families are not supported yet."


def _has(*parts: str) -> Callable[[Shapes], bool]:
    return lambda shapes: any(part in name for name in shapes for part in parts)


def _exactly(*names: str) -> Callable[[Shapes], bool]:
    return lambda shapes: any(name in shapes for name in names)


def _starts(*prefixes: str) -> Callable[[Shapes], bool]:
    return lambda shapes: any(name.startswith(prefixes) for name in shapes)


def _shape(name: str, place: int, *values: int) -> Callable[[Shapes], bool]:
    """Whether one of `values` is at `place` in the shape of a tensor of the U-Net, in either layout's name."""

    def matches(shapes: Shapes) -> bool:
        shape = shapes.get(_UNET + name, shapes.get(name, ()))
        return len(shape) > place and shape[place] in values

    return matches


RECOGNISED: tuple[Recognised, ...] = (
    Recognised(
        "a LoRA",
        _has("lora_up.weight", "lora_A.weight", "lora_B.weight", "lora.up.weight", "hada_w1_a", "lokr_w1"),
        "Put it into models/loras.",
    ),
    Recognised(
        "a ControlNet",
        _has("control_model.", "zero_convs.", "controlnet_cond_embedding"),
        "Put it into models/controlnet.",
    ),
    Recognised(
        "a T2I-Adapter",
        lambda shapes: _has("body.0.block1.weight", "body.0.resnets.0.block1.weight")(shapes),
        "Put it into models/controlnet.",
    ),
    Recognised(
        "a textual-inversion embedding",
        lambda shapes: (
            (len(shapes) <= 2 and _exactly("emb_params", "clip_g", "clip_l")(shapes)) or _has("string_to_param")(shapes)
        ),
        "Put it into models/embeddings.",
    ),
    Recognised("an IP-Adapter", _starts("ip_adapter.", "image_proj.")),
    Recognised("a GLIGEN model", _has("position_net.")),
    Recognised(
        "a CLIP vision encoder",
        lambda shapes: _starts("vision_model.")(shapes) and not _starts("text_model.", "down_blocks.")(shapes),
        "Put it into models/clip_vision.",
    ),
    Recognised("a file of scaled 8-bit weights", _exactly("scaled_fp8"), "Use its fp16 version."),
    Recognised("an AnimateDiff motion module", _has("motion_modules.")),
    Recognised("Stable Video Diffusion", _has(".time_stack.", ".time_mixer.")),
    Recognised("FLUX", _has("double_blocks.", "single_transformer_blocks.")),
    Recognised("Stable Diffusion 3", _has("joint_blocks.")),
    Recognised("Stable Cascade", _has("effnet_mapper", "clip_txt_pooled_mapper")),
    Recognised("PixArt", _has("y_embedder.y_embedding")),
    Recognised("a T5 text encoder", _has("encoder.block.0.layer.0.SelfAttention")),
    Recognised("an SDXL model of the EDM kind, such as CosXL", _exactly("edm_vpred.sigma_max")),
    Recognised("an SDXL model of the EDM kind, such as Playground 2.5", _exactly("edm_mean", "edm_std")),
    Recognised("Kolors", _shape("encoder_hid_proj.weight", 0, 2048)),
    Recognised(
        "Stable Diffusion 2.x unCLIP",
        lambda shapes: (
            _shape("label_emb.0.0.weight", 1, 1536, 2048)(shapes)
            and _shape("input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight", 1, 1024)(shapes)
        ),
    ),
    Recognised("Stable Diffusion 2 with depth", _shape("input_blocks.0.0.weight", 1, 5)),
    Recognised("an upscaler", _has("RRDB_trunk", "body.0.rdb1", "model.1.sub.0"), "Put it into models/upscale_models."),
)


def recognise(shapes: Shapes) -> Recognised | None:
    """The kind of file that this is, when it is one that is known but not run."""
    return next((kind for kind in RECOGNISED if kind.matches(shapes)), None)
