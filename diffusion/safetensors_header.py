"""Reads the header of a safetensors file and checks it against the file's size, before anything is mapped.

Format: https://huggingface.co/docs/safetensors: u64 little-endian length, a JSON object, then the data.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch

from diffusion.errors import CorruptFile

DTYPES: Mapping[str, torch.dtype] = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
_MAX_HEADER = 100 * 2**20
AGAIN = "Download the file again, and compare its size with the one its source states."


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """What a file says about one of its tensors."""

    shape: tuple[int, ...]
    dtype: torch.dtype


def read_header(path: Path, size: int) -> tuple[dict[str, TensorInfo], dict[str, str]]:
    """The tensors and metadata that the header names, each tensor checked against `size`, the file's bytes.

    Raises CorruptFile when anything in it makes no sense.
    """

    def corrupt(what: str) -> CorruptFile:
        return CorruptFile(f"{path.name} is not a sound safetensors file: {what}.", hint=AGAIN)

    with path.open("rb") as file:
        prefix = file.read(8)
        if len(prefix) < 8:
            raise corrupt("it is shorter than 8 bytes")
        (length,) = struct.unpack("<Q", prefix)
        if length > min(_MAX_HEADER, size - 8):
            raise corrupt(f"its header should be {length} bytes long, and the file has {size}")
        raw = file.read(length)
    try:
        header = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise corrupt("its header is no JSON") from error
    if not isinstance(header, dict):
        raise corrupt("its header is no JSON object")
    entries = cast("dict[str, Any]", header)
    metadata = entries.pop("__metadata__", None) or {}
    if not isinstance(metadata, dict):
        raise corrupt("its metadata is no JSON object")
    tensors: dict[str, TensorInfo] = {}
    data = size - 8 - length
    for name, entry in entries.items():
        info, end = _entry(entry)
        if info is None:
            raise corrupt(f"the entry of {name[:100]!r} makes no sense")
        if end > data:
            missing = (end - data) / 2**20
            raise corrupt(f"it is cut short, {name[:100]!r} ends {missing:.1f} MiB after the end of the file")
        tensors[name] = info
    if not tensors:
        raise corrupt("it holds no tensors")
    return tensors, {str(key): str(value) for key, value in cast("dict[Any, Any]", metadata).items()}


def _entry(entry: object) -> tuple[TensorInfo | None, int]:
    """The checked entry of one tensor and where its data end, or None when it is inconsistent."""
    if not isinstance(entry, dict):
        return None, 0
    fields = cast("dict[str, Any]", entry)
    dtype = DTYPES.get(str(fields.get("dtype")))
    shape, offsets = fields.get("shape"), fields.get("data_offsets")
    if dtype is None or not _naturals(shape) or not _naturals(offsets) or len(cast("list[int]", offsets)) != 2:
        return None, 0
    begin, end = cast("list[int]", offsets)
    sizes = tuple(cast("list[int]", shape))
    if end - begin != math.prod(sizes) * dtype.itemsize:
        return None, 0
    return TensorInfo(sizes, dtype), end


def _naturals(value: object) -> bool:
    return isinstance(value, list) and all(type(each) is int and each >= 0 for each in cast("list[object]", value))
