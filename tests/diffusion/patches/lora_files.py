"""LoRA files with random factors for the reduced checkpoint, in the spellings of several trainers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

RANK = 2
UNET_LAYERS = {
    "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k": (32, 64),
    "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_out.0": (32, 32),
    "mid_block.attentions.0.proj_in": (64, 64, 1, 1),
    "mid_block.resnets.0.conv1": (64, 64, 3, 3),
}
TEXT_LAYERS = {"text_model.encoder.layers.1.self_attn.q_proj": (64, 64)}
ORIGINAL = {
    "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k": "input_blocks.1.1.transformer_blocks.0.attn2.to_k",
    "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_out.0": (
        "input_blocks.1.1.transformer_blocks.0.attn1.to_out.0"
    ),
    "mid_block.attentions.0.proj_in": "middle_block.1.proj_in",
    "mid_block.resnets.0.conv1": "middle_block.0.in_layers.2",
}


def factors(text: bool = True, scale: int = 1) -> dict[str, tuple[Tensor, Tensor]]:
    """Up and down of each layer; `scale` multiplies the widths, as another family's would be."""
    generator = torch.Generator().manual_seed(7)
    found: dict[str, tuple[Tensor, Tensor]] = {}
    for layer, shape in (UNET_LAYERS | (TEXT_LAYERS if text else {})).items():
        kernel = shape[2:]
        up = torch.randn(shape[0], RANK, *[1] * len(kernel), generator=generator)
        down = torch.randn(RANK, shape[1] * scale, *kernel, generator=generator)
        found[layer] = (up * 0.1, down * 0.1)
    return found


def tensors(style: str, *, text: bool = True, scale: int = 1) -> dict[str, Tensor]:
    """The tensors of such a file. All styles hold the same factors; those that write an alpha write the rank."""
    found: dict[str, Tensor] = {}
    for layer, (up, down) in factors(text, scale).items():
        is_text = layer.startswith("text_model")
        flat = layer.replace(".", "_")
        match style:
            case "kohya":
                base = f"lora_te_{flat}" if is_text else f"lora_unet_{flat}"
                names = (f"{base}.lora_up.weight", f"{base}.lora_down.weight")
                found[f"{base}.alpha"] = torch.tensor(float(RANK))
            case "original":
                flat = ORIGINAL.get(layer, layer).replace(".", "_")
                base = f"lora_te1_{flat}" if is_text else f"lora_unet_{flat}"
                names = (f"{base}.lora_up.weight", f"{base}.lora_down.weight")
            case "peft":
                base = f"text_encoder.{layer}" if is_text else f"unet.{layer}"
                names = (f"{base}.lora_B.weight", f"{base}.lora_A.weight")
            case "peft-adapter":
                base = f"base_model.model.{layer}"
                names = (f"{base}.lora_B.default.weight", f"{base}.lora_A.default.weight")
            case _:
                if is_text:
                    base = f"text_encoder.{layer}.lora_linear_layer"
                    names = (f"{base}.up.weight", f"{base}.down.weight")
                elif ".attn" in layer:
                    base = "unet." + layer.replace(".to_out.0", ".to_out").replace(".to_", ".processor.to_")
                    names = (f"{base}_lora.up.weight", f"{base}_lora.down.weight")
                else:
                    base = f"unet.{layer}.lora"
                    names = (f"{base}.up.weight", f"{base}.down.weight")
        found[names[0]], found[names[1]] = up, down
    return found


STYLES = ("kohya", "original", "peft", "peft-adapter", "diffusers")


def write(folder: Path, name: str, content: Mapping[str, Tensor]) -> str:
    """Write a file into the LoRA folder of a models folder; its name."""
    path = folder / "loras" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({key: value.contiguous() for key, value in content.items()}, path)
    return name
