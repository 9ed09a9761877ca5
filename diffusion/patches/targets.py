"""Which weight of a model a name in a LoRA file means.

Every trainer has a spelling of its own. kohya's scripts and LyCORIS write dots as underscores after `lora_unet_` or
`lora_te_`; diffusers and PEFT prefix the path of the module; ComfyUI keeps the names of the original single file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

Targets = Mapping[str, str]
"""From a name in a LoRA file to the path of a layer, such as `mid_block.attentions.0.proj_in`."""

UNET, TEXT_ENCODER = "U-Net", "text encoder"
_UNET_PATHS = ("", "unet.", "base_model.model.", "unet.base_model.model.", "base_model.model.unet.")


def unet_targets(parameters: Iterable[str], original: Mapping[str, str]) -> dict[str, str]:
    """For a U-Net: `parameters` are its parameters' names, `original` their names in the single file."""
    found: dict[str, str] = {}
    for layer, source in _layers(parameters, original):
        place = source.removeprefix("model.diffusion_model.")
        path = layer.replace("class_embedding.linear", "add_embedding.linear", 1)  # as SDXL's is called in diffusers
        spellings = [
            *(f"{prefix}{path}" for prefix in _UNET_PATHS),
            *(f"{prefix}{_processor(path)}" for prefix in ("", "unet.")),
            *(f"{prefix}{_flat(path)}" for prefix in ("lora_unet_", "lycoris_", "lycoris_unet_")),
            *(f"{prefix}{_flat(place)}" for prefix in ("lora_unet_", "lycoris_")),
            f"diffusion_model.{place}",
            f"model.diffusion_model.{place}",
        ]
        for name in spellings:
            found.setdefault(name, layer)
    return found


def text_targets(parameters: Iterable[str], towers: Sequence[str]) -> dict[str, str]:
    """For CLIP text encoders. `towers` is where each one's parameters begin: one, or the two of SDXL."""
    found: dict[str, str] = {}
    for layer, _ in _layers(parameters, {}):
        for place, root in enumerate(towers):
            if layer.startswith(root):
                path = layer.removeprefix(root)
                if path != "text_projection":
                    path = f"text_model.{path.removeprefix('text_model.')}"
                prefixes = (*_FIRST_TEXT, *_SECOND_TEXT) if len(towers) == 1 else (_FIRST_TEXT, _SECOND_TEXT)[place]
                for prefix in prefixes:
                    if _is_known(prefix, path):
                        found.setdefault(prefix + (path if prefix.endswith(".") else _flat(path)), layer)
    return found


_FIRST_TEXT = (
    "lora_te_",
    "lora_te1_",
    "lycoris_te_",
    "text_encoder.",
    "text_encoder.base_model.model.",
    "base_model.model.text_encoder.",
    "base_model.model.",
    "cond_stage_model.transformer.",
    "clip_l.transformer.",
    "text_encoders.clip_l.transformer.",
    "text_encoders.clip_h.transformer.",
)
"""How files call the only text encoder of a model, or CLIP-L where there are two: with underscores, or a path."""

_SECOND_TEXT = (
    "lora_te2_",
    "text_encoder_2.",
    "text_encoder_2.base_model.model.",
    "clip_g.transformer.",
    "text_encoders.clip_g.transformer.",
)
"""How files call the larger of two text encoders."""


_TRAINED = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")
"""The layers of text encoders that trainers' spellings are known for: ComfyUI passes over others, such as norms."""


def component_of(name: str) -> str | None:
    """Which component a name in a file begins like; None for one that does not say."""
    if name.startswith(("lora_te", "lycoris_te", "text_encoder", "cond_stage_model.", "clip_")):
        return TEXT_ENCODER
    return UNET if name.startswith(("lora_unet_", "lycoris_", "unet.", "diffusion_model.")) else None


def _is_known(prefix: str, path: str) -> bool:
    if prefix.endswith(".transformer."):
        return True
    return path.endswith(_TRAINED) or (path == "text_projection" and prefix in ("lora_te1_", "lora_te2_"))


def _layers(parameters: Iterable[str], original: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    for name in parameters:
        if name.endswith(".weight"):
            yield name.removesuffix(".weight"), original.get(name, name).removesuffix(".weight")


def _flat(path: str) -> str:
    return path.replace(".", "_")


def _processor(layer: str) -> str:
    """The path that older versions of diffusers gave an attention's projections."""
    return layer.replace(".to_out.0", ".to_out").replace(".to_", ".processor.to_")
