"""Opens weights that are split over several files: an index says which file holds which tensor.

That is how the diffusers and transformers libraries save what is larger than their `max_shard_size`
(https://huggingface.co/docs/huggingface_hub/package_reference/serialization).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from torch import Tensor

from diffusion.checkpoint_file import CheckpointFile, open_checkpoint
from diffusion.errors import CorruptFile
from diffusion.safetensors_header import AGAIN


def open_weights(path: Path) -> CheckpointFile:
    """Open a weight file, or the files that an index (a name ending in `.json`) tells of as if they were one.

    Raises what `open_checkpoint` raises, and CorruptFile for an index that makes no sense.
    """
    if path.suffix != ".json":
        return open_checkpoint(path)
    places = _places(path)
    files = {name: open_checkpoint(path.with_name(name)) for name in sorted(set(places.values()))}
    for tensor, name in places.items():
        if tensor not in files[name].tensors:
            raise CorruptFile(f"{name} lacks the tensor {tensor}, which {path.name} says it holds.", hint=AGAIN)
    tensors = {tensor: files[name].tensors[tensor] for tensor, name in places.items()}
    return CheckpointFile(path, tensors, {}, _Shards(places, files))


def shards(path: Path) -> tuple[Path, ...]:
    """The files of weights, that of their index first. Raises CorruptFile for an index that makes no sense."""
    if path.suffix != ".json":
        return (path,)
    return (path, *(path.with_name(name) for name in sorted(set(_places(path).values()))))


class _Shards:
    def __init__(self, places: Mapping[str, str], files: Mapping[str, CheckpointFile]) -> None:
        self._places = places
        self._files = files

    def tensor(self, name: str) -> Tensor:
        return self._files[self._places[name]].tensor(name)

    def close(self) -> None:
        for file in self._files.values():
            file.close()


def _places(index: Path) -> Mapping[str, str]:
    """The file of each tensor, by name, in the index's own folder."""
    try:
        content: Any = json.loads(index.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CorruptFile(f"{index.name} cannot be read: {error}.", hint=AGAIN) from error
    places: object = cast("dict[str, object]", content).get("weight_map") if isinstance(content, dict) else None
    if not isinstance(places, dict) or not places:
        raise CorruptFile(f"{index.name} does not say which file holds which tensor (weight_map).", hint=AGAIN)
    for name in cast("dict[str, object]", places).values():
        if not isinstance(name, str) or name in ("", ".", "..") or Path(name).name != name or "\\" in name:
            raise CorruptFile(f"{index.name} names {name!r}, which is no file beside it.", hint=AGAIN)
        if not index.with_name(name).is_file():
            raise CorruptFile(f"{name} is missing beside {index.name}.", hint="Download all files of that folder.")
    return cast("dict[str, str]", places)
