"""Finds the parts of a model in the folder that the diffusers library saves: one sub-folder for each component."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from diffusion.errors import MissingComponent
from diffusion.library import ModelLibrary
from diffusion.shards import shards
from diffusion.values import FileRef

_ENDINGS = (
    ".safetensors",
    ".safetensors.index.json",
    ".fp16.safetensors",
    ".safetensors.index.fp16.json",
    ".bin",
    ".bin.index.json",
    ".fp16.bin",
    ".bin.index.fp16.json",
)


@dataclass(frozen=True, slots=True)
class FolderParts:
    """The files of a model: its text encoders in the order in which their embeddings are joined."""

    unet: FileRef
    text_encoders: tuple[FileRef, ...]
    vae: FileRef
    scheduler: FileRef | None


def read_folder(library: ModelLibrary, index: FileRef) -> FolderParts:
    """The parts of the model whose `model_index.json` is given; for one that is split over several files, their index.

    Raises MissingComponent when a part is not there, and CorruptFile when files of one are missing.
    """
    folder = Path(index.path).parent
    texts = [name for name in ("text_encoder", "text_encoder_2") if (folder / name).is_dir()]
    if not texts:
        raise MissingComponent(f"{index.name} has no folder text_encoder.", input="model_path")
    scheduler = folder / "scheduler" / "scheduler_config.json"
    return FolderParts(
        _weights(library, index, folder / "unet"),
        tuple(_weights(library, index, folder / name) for name in texts),
        _weights(library, index, folder / "vae"),
        _ref(library, index, scheduler) if scheduler.is_file() else None,
    )


def _weights(library: ModelLibrary, index: FileRef, folder: Path) -> FileRef:
    stems: Sequence[str] = (
        ("model", "pytorch_model") if folder.name.startswith("text_encoder") else ("diffusion_pytorch_model",)
    )
    for ending in _ENDINGS:
        for stem in stems:
            path = folder / (stem + ending)
            if path.is_file():
                content_id = "+".join(map(library.content_id, shards(path)))
                return replace(_ref(library, index, path), content_id=content_id)
    raise MissingComponent(
        f"{index.name} has no weights in {folder.name}.",
        hint=f"Put {stems[0]}.safetensors there, or the files of an index.",
        input="model_path",
    )


def _ref(library: ModelLibrary, index: FileRef, path: Path) -> FileRef:
    name = f"{index.name}/{path.relative_to(Path(index.path).parent).as_posix()}"
    return FileRef(index.kind, name, str(path), library.content_id(path))
