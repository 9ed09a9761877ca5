"""Puts any value into words: tensors by shape, type and range, values by their fields."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor

from diffusion.values import FileRef

_INDENT = "  "
_SHOWN = 100
_DEPTH = 12


def described(value: object) -> str:
    """A value as text: a text as it is, what is plain data as JSON, anything else field by field."""
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, indent=2, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return "\n".join(_lines(value, _DEPTH))


def _lines(value: object, depth: int) -> list[str]:
    if isinstance(value, Tensor):
        return [_tensor(value)]
    if isinstance(value, FileRef):
        return [f"{value.kind}/{value.name}"]
    if dataclasses.is_dataclass(value) and not isinstance(value, type) and depth:
        fields = {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
        return [type(value).__name__, *_members(fields, depth)]
    if isinstance(value, Mapping) and depth:
        return [f"{len(value)} entries", *_members(cast("Mapping[Any, Any]", value), depth)]
    if isinstance(value, Sequence) and not isinstance(value, str | bytes) and depth:
        items = cast("Sequence[Any]", value)
        return [f"{len(items)} items", *_members(dict(enumerate(items[:_SHOWN])), depth)]
    return [str(value)]


def _members(members: Mapping[Any, Any], depth: int) -> list[str]:
    lines: list[str] = []
    for name, member in members.items():
        first, *rest = _lines(member, depth - 1)
        lines += [f"{_INDENT}{name}: {first}", *(_INDENT + line for line in rest)]
    return lines


def _tensor(value: Tensor) -> str:
    shape = "×".join(map(str, value.shape)) or "one value"
    kind = str(value.dtype).removeprefix("torch.")
    if not value.numel():
        return f"{kind} {shape}"
    if value.numel() <= 16:
        return f"{kind} {shape}: {value.tolist()}"
    least, mean, most = (float(each) for each in (value.min(), value.to(torch.float32).mean(), value.max()))
    return f"{kind} {shape}, from {least:.4g} to {most:.4g}, mean {mean:.4g}"
