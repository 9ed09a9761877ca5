"""Writes full-size checkpoints in the public single-file layouts, with weights that anyone can draw again.

`python -m tests.reference.recipes LAYOUT OUT.safetensors`, where LAYOUT is a name in `data/layouts.json`. Names and
shapes are those of the public files. Each tensor comes from a generator of its own, seeded with the CRC-32 of its name,
so it does not depend on what else is written; its spread follows its fan-in, so activations stay finite.
"""

from __future__ import annotations

import json
import math
import sys
import zlib
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

DATA = Path(__file__).with_name("data")
_GAIN = 0.8


def layout(name: str) -> dict[str, tuple[int, ...]]:
    """The tensors of a public file: their names and shapes."""
    layouts = json.loads((DATA / "layouts.json").read_text("utf-8"))
    return {key: tuple(shape) for key, shape in layouts[name].items()}


def weights(key: str, shape: tuple[int, ...]) -> Tensor:
    """The tensor of that name, float32."""
    if key.endswith(".alpha"):
        return torch.tensor(8.0)
    if key.endswith("logit_scale"):
        return torch.tensor(4.6)
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(zlib.crc32(key.encode())))
    if "embedding" in key or key == "emb_params":
        return drawn * 0.02
    if key.endswith("lora_up.weight"):
        return drawn * 0.05
    if len(shape) > 1:
        return drawn * (_GAIN / math.sqrt(math.prod(shape[1:])))
    return drawn * 0.02 if key.endswith("bias") else 1 + drawn * 0.02


def write(name: str, path: Path) -> Path:
    """Write the checkpoint of a layout, in float16 as the public files are; embeddings and alphas in float32."""
    whole = name.startswith("embedding")
    tensors = {
        key: drawn if whole or key.endswith(".alpha") else drawn.half()
        for key, shape in layout(name).items()
        for drawn in (weights(key, shape),)
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path, metadata={"format": "pt"})
    return path


if __name__ == "__main__":
    write(sys.argv[1], Path(sys.argv[2]))
