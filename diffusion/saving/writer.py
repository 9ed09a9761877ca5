"""Writes a safetensors file tensor by tensor, so that what is written never has to be in memory at once.

Format: https://huggingface.co/docs/safetensors: u64 little-endian length, a JSON object, then the data without gaps.
The safetensors library itself only writes tensors that are all in memory.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffusion.safetensors_header import DTYPES

_ALIGNMENT = 8
_NAMES = {dtype: name for name, dtype in DTYPES.items()}


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A tensor to write: its name, shape and type, and where its values come from when their turn has come."""

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    read: Callable[[], Tensor]


def write(
    path: Path, entries: Sequence[Entry], metadata: Mapping[str, str], report: Callable[[int, int], None]
) -> None:
    """Write a file with these tensors, those of the widest types first.

    `report` is called with the tensors done and their number before the first and after each; it may raise to stop,
    which leaves the file unfinished. Raises OSError when the file cannot be written.
    """
    ordered = sorted(entries, key=lambda entry: (-entry.dtype.itemsize, entry.name))
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for entry in ordered:
        begin, end = end, end + math.prod(entry.shape) * entry.dtype.itemsize
        header[entry.name] = {"dtype": _NAMES[entry.dtype], "shape": entry.shape, "data_offsets": (begin, end)}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    report(0, len(ordered))
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for done, entry in enumerate(ordered, start=1):
            value = entry.read()
            if tuple(value.shape) != entry.shape or value.dtype != entry.dtype:
                raise ValueError(f"{entry.name} is {value.dtype} {list(value.shape)}, and was to be {entry}")
            file.write(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
            report(done, len(ordered))
