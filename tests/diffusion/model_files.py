"""Model files in the folders of a library."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from diffusion.library import ModelLibrary
from diffusion.values import FileRef


def save(folder: Path, kind: str, name: str, tensors: dict[str, Tensor], **metadata: str) -> FileRef:
    (folder / kind).mkdir(parents=True, exist_ok=True)
    save_file({key: value.contiguous() for key, value in tensors.items()}, folder / kind / name, metadata or None)
    return ModelLibrary(folder).resolve(kind, name)
