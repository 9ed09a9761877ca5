"""Reads a LoRA file, in any of the styles that trainers write, into one adapter per weight.

A tensor's name is that of the weight it changes, in its trainer's spelling, and an ending that says which part of the
adapter it is: kohya's `.lora_up.weight`, PEFT's `.lora_B.weight`, diffusers' `_lora.up.weight`, LyCORIS's `.hada_w1_a`
and `.lokr_w1`. Which weights of a model the names mean is for `targets` to say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from diffusion.architecture import SDXL, family_by_context
from diffusion.checkpoint_file import CheckpointFile, open_checkpoint
from diffusion.errors import CorruptFile, UnsupportedArchitecture
from diffusion.memory import is_out_of_memory
from diffusion.patches.adapters import Adapter, Delta, FullDelta, LohaDelta, LoraDelta, lokr
from diffusion.patches.relative import RelativeDelta, relative
from diffusion.values import FileRef

_ENDINGS: Mapping[str, str] = {
    ".lora_up.weight": "up",
    ".lora_down.weight": "down",
    ".lora_mid.weight": "mid",
    ".lora_B.weight": "up",
    ".lora_A.weight": "down",
    ".lora_B.default.weight": "up",
    ".lora_A.default.weight": "down",
    "_lora.up.weight": "up",
    "_lora.down.weight": "down",
    ".lora.up.weight": "up",
    ".lora.down.weight": "down",
    ".lora_linear_layer.up.weight": "up",
    ".lora_linear_layer.down.weight": "down",
    ".alpha": "alpha",
    ".dora_scale": "magnitude",
    ".lora_magnitude_vector": "magnitude",
    ".lora_magnitude_vector.weight": "magnitude",
    ".lora_magnitude_vector.default.weight": "magnitude",
    ".diff": "diff",
    ".diff_b": "diff_b",
    ".w_norm": "w_norm",
    ".b_norm": "b_norm",
    ".set_weight": "set",
    **{f".hada_{part}": f"hada.{part}" for part in ("w1_a", "w1_b", "w2_a", "w2_b", "t1", "t2")},
    ".oft_blocks": "oft_blocks",
    ".rescale": "rescale",
    **{f".{part}.weight": f"glora.{part}" for part in ("a1", "a2", "b1", "b2")},
    **{f".lokr_{part}": f"lokr.{part}" for part in ("w1", "w1_a", "w1_b", "w2", "w2_a", "w2_b", "t2")},
}
_PLAIN = "diffusion_model."
"""Where files keep the names of the original single file, and name biases beside weights."""
_NOT_HELD = (".bias_indices", ".bias_values", ".bias_size", ".reshape_weight", ".scalar")


@dataclass(frozen=True, slots=True, eq=False)
class LoraFile:
    """The adapters of a file by the trainer's name of the weight; `biases` are those of its bias. `unread` are tensors
    of a kind that is not known here."""

    file: FileRef
    weights: Mapping[str, Adapter]
    biases: Mapping[str, Adapter]
    unread: tuple[str, ...] = ()
    bytes: int = field(default=0)

    @property
    def family(self) -> str:
        """The family of models it was trained on, as far as its names and shapes tell."""
        return family_of(self.weights)


def read_lora(file: FileRef, device: torch.device) -> LoraFile:
    """Read a LoRA, LoHa, LoKr, DoRA, OFT, BOFT or GLoRA file, in float32, to a device.

    Raises UnsupportedArchitecture when it holds no adapter that is known here, and CorruptFile when a part is missing.
    """
    groups: dict[str, dict[str, Tensor]] = {}
    unread: list[str] = []
    with open_checkpoint(Path(file.path)) as opened:
        for name in opened.names():
            base, part = split_name(name)
            if part is None:
                unread.append(name)
            else:
                groups.setdefault(base, {})[part] = opened.tensor(name).to(device, torch.float32)
        return _collect(file, opened, groups, [name for name in unread if not name.endswith(_NOT_HELD)])


def _collect(
    file: FileRef, opened: CheckpointFile, groups: Mapping[str, dict[str, Tensor]], unread: list[str]
) -> LoraFile:
    weights: dict[str, Adapter] = {}
    biases: dict[str, Adapter] = {}
    for base, parts in groups.items():
        try:
            delta = _delta(parts)
        except KeyError as error:
            raise CorruptFile(f"{file.name} holds only parts of the adapter of {base}: {error} is missing.") from error
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            message = f"{file.name}: the parts of the adapter of {base} do not fit together: {error}."
            raise CorruptFile(message) from error
        if delta is not None and base.startswith(_PLAIN) and base.endswith(".bias"):
            biases[base.removesuffix(".bias")] = Adapter(delta)
        elif delta is not None:
            alpha = float(parts["alpha"]) if "alpha" in parts else None
            weights[base] = Adapter(delta, alpha, parts.get("magnitude"))
        bias = parts.get("diff_b", parts.get("b_norm") if "w_norm" in parts else None)
        if bias is not None:
            biases[base] = Adapter(FullDelta(bias))
        elif "b_norm" in parts:  # which ComfyUI reads beside a w_norm only
            unread.append(f"{base}.b_norm")
    if not weights and not biases:
        shown = ", ".join(sorted(opened.names())[:3])
        raise UnsupportedArchitecture(
            f"{file.name} is no LoRA that is known here: it holds {len(opened.tensors)} tensors, such as {shown}.",
            hint="Choose a LoRA, LoHa, LoKr, DoRA, OFT, BOFT or GLoRA file from models/loras.",
        )
    size = sum(tensor.nbytes for parts in groups.values() for tensor in parts.values())
    return LoraFile(file, weights, biases, tuple(unread), size)


def _delta(parts: Mapping[str, Tensor]) -> Delta | RelativeDelta | None:
    if "up" in parts or "down" in parts:
        return LoraDelta(parts["up"], parts["down"], parts.get("mid"))
    loha = {name.removeprefix("hada."): value for name, value in parts.items() if name.startswith("hada.")}
    if loha:
        return LohaDelta(loha["w1_a"], loha["w1_b"], loha["w2_a"], loha["w2_b"], loha.get("t1"), loha.get("t2"))
    kron = {name.removeprefix("lokr."): value for name, value in parts.items() if name.startswith("lokr.")}
    if kron:
        return lokr(kron)
    if (found := relative(parts)) is not None:
        return found
    whole = parts.get("diff", parts.get("w_norm"))
    return None if whole is None else FullDelta(whole)


def split_name(name: str) -> tuple[str, str | None]:
    """A tensor's name as that of its weight and the part of the adapter it is; None for an ending not known."""
    for ending in _ENDINGS:
        if name.endswith(ending):
            return name.removesuffix(ending), _ENDINGS[ending]
    return name, None


_FAMILIES: tuple[tuple[str, Callable[[str], bool]], ...] = (
    ("FLUX", lambda name: "double_blocks" in name or "single_transformer_blocks" in name or "single_blocks" in name),
    ("Stable Diffusion 3", lambda name: "joint_blocks" in name or "add_q_proj" in name),
    (SDXL, lambda name: name.startswith(("lora_te2_", "text_encoder_2."))),
)


def family_of(weights: Mapping[str, Adapter]) -> str:
    """The family of models that adapters were made for: by names, then by the width of the text that they attend to."""
    for family, matches in _FAMILIES:
        if any(matches(name) for name in weights):
            return family
    known = {name: each.delta for name, each in weights.items() if not isinstance(each.delta, RelativeDelta)}
    for name, delta in known.items():
        if name.endswith(("attn2_to_k", "attn2.to_k", "attn2.processor.to_k")):
            return family_by_context(delta.fan_in)
    for name, delta in known.items():
        if name.endswith(("self_attn_k_proj", "self_attn.k_proj")):
            return f"a model whose text encoder is {delta.fan_in} wide"
    return "an unknown family of models"
