"""Averaged (EMA) weights: trainers store a second copy of the U-Net under names with their dots removed.

`model_ema.diffusion_modelinput_blocks00weight` is the average of `model.diffusion_model.input_blocks.0.0.weight`. When
a file holds both, the plain names say which flattened name is whose; when it holds only the averages, the dots are put
back by the grammar of U-Net names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

EMA = "model_ema."
_MODEL = "model."

_BLOCK = re.compile(r"(input_blocks|output_blocks)(\d+)(\d)(?=\D)")
_MIDDLE = re.compile(r"(middle_block)(\d)(?=\D)")
_PART = re.compile(
    r"transformer_blocks|skip_connection|in_layers|out_layers|emb_layers|time_embed|label_emb|proj_in|proj_out"
    r"|to_out|to_q|to_k|to_v|attn[12]|norm[123]|norm|weight|bias|proj|conv|net|out|ff|op|\d+"
)


def flattened(name: str) -> str:
    """The name under which the average of `model.<…>` is stored."""
    return EMA + name.removeprefix(_MODEL).replace(".", "")


def ema_names(names: Mapping[str, object]) -> dict[str, str]:
    """For each U-Net name, the name of its average in the file; empty when the file holds none."""
    plain = {flattened(name): name for name in names if name.startswith("model.diffusion_model.")}
    found: dict[str, str] = {}
    for name in names:
        if name.startswith(f"{EMA}diffusion_model"):
            original = plain.get(name) or restore_dots(name)
            if original is not None:
                found[original] = name
    return found


def ema_shapes(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """The shapes of the averaged U-Net under its plain names."""
    return {original: shapes[name] for original, name in ema_names(shapes).items()}


def restore_dots(name: str) -> str | None:
    """The plain name of a flattened one, or None when it is not made of the parts of U-Net names."""
    rest = name.removeprefix(f"{EMA}diffusion_model")
    parts = ["model", "diffusion_model"]
    head = _BLOCK.match(rest) or _MIDDLE.match(rest)
    position = 0
    if head is not None:
        parts.extend(head.groups())
        position = head.end()
    while position < len(rest):
        part = _PART.match(rest, position)
        if part is None:
            return None
        parts.append(part.group())
        position = part.end()
    return ".".join(parts)
