"""Finds model files by kind and name. Torch-free, so that the server can list and check without loading anything.

A name is always relative to the folder of its kind and is refused when it would leave it. Links inside a folder are
followed: whoever put them there owns the disk; a name that comes from outside cannot make one.
"""

from __future__ import annotations

import difflib
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import MappingProxyType

from diffusion.errors import UnknownModel
from diffusion.values import FileRef

_WEIGHTS = (".safetensors", ".sft", ".ckpt", ".pt", ".pth", ".bin")
_CONFIG_ENDINGS = (".yaml", ".yml")
_FOLDER_INDEX = "model_index.json"
_TINY_VAES = ("taesd", "taesdxl")

KINDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "checkpoints": _WEIGHTS,
        "clip": _WEIGHTS,
        "clip_vision": _WEIGHTS,
        "configs": _CONFIG_ENDINGS,
        "controlnet": _WEIGHTS,
        "diffusers": (_FOLDER_INDEX,),
        "diffusion_models": _WEIGHTS,
        "embeddings": _WEIGHTS,
        "loras": _WEIGHTS,
        "safety_checker": _WEIGHTS,
        "upscale_models": _WEIGHTS,
        "vae": _WEIGHTS,
        "vae_approx": _WEIGHTS,
    }
)
"""The kinds of models, each a folder under `models/` unless FOLDERS says otherwise, and the endings that count."""

FOLDERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "clip": ("text_encoders", "clip"),
        "controlnet": ("controlnet", "t2i_adapter"),
        "diffusion_models": ("unet", "diffusion_models"),
    }
)
"""The kinds that have two folders, the first of which wins: ComfyUI's old and new names, in its order."""

_WHOLE_FILE = 64 * 2**20
_BLOCK = 64 * 2**10
_BLOCKS = 256


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A file that can be chosen: its name within the kind's folder, bytes, and time of change (Unix seconds)."""

    name: str
    size: int
    modified: float


class ModelLibrary:
    """The model folders. `extra` adds further folders to a kind; the first folder that has a name wins."""

    def __init__(self, models_dir: Path, extra: Mapping[str, Sequence[Path]] | None = None) -> None:
        self.models_dir = models_dir
        further = dict(extra or {})
        self._folders: dict[str, tuple[Path, ...]] = {
            kind: (*(models_dir / name for name in FOLDERS.get(kind, (kind,))), *further.get(kind, ()))
            for kind in sorted([*KINDS, *(further.keys() - KINDS.keys())])
        }
        self._content_ids: dict[tuple[str, int, int], str] = {}

    def kinds(self) -> tuple[str, ...]:
        return tuple(self._folders)

    def list(self, kind: str) -> tuple[ModelEntry, ...]:
        """The files of a kind, by name. An unknown kind raises UnknownModel; a folder that isn't there is empty."""
        found: dict[str, ModelEntry] = {}
        if kind == "vae":
            for name in _TINY_VAES:
                path = self._tiny_vae(name, "decoder")
                if path is not None:
                    found[name] = ModelEntry(name, path.stat().st_size, path.stat().st_mtime)
        for folder in self._folders_of(kind):
            for path, name in _files(folder, KINDS.get(kind, _WEIGHTS)):
                try:
                    status = path.stat()
                except OSError:  # a dangling link, or a file removed while it was listed, cannot be chosen
                    continue
                name = name.removesuffix(f"/{_FOLDER_INDEX}")
                found.setdefault(name, ModelEntry(name, status.st_size, status.st_mtime))
        return tuple(sorted(found.values(), key=lambda entry: entry.name.lower()))

    def resolve(self, kind: str, name: str) -> FileRef:
        """The file of that name; its content id takes in its sidecar's.

        Raises UnknownModel, with the nearest names, when there is none."""
        path = self._find(kind, name)
        if path is None:
            raise UnknownModel(
                f"There is no file {name!r} in models/{kind}.",
                hint=self._nearest(kind, name),
            )
        content_id = self._folder_id(path.parent) if kind == "diffusers" else self.content_id(path)
        config = _beside(path)
        if config is not None:
            content_id += "+" + self.content_id(config)
        file = FileRef(kind, name, str(path), content_id)
        encoder = self.tiny_encoder(file) if kind == "vae" else None
        return file if encoder is None else replace(file, content_id=f"{content_id}+{encoder.content_id}")

    def _folder_id(self, folder: Path) -> str:
        """A digest of all weights and configs in a folder."""
        digest = hashlib.blake2b(digest_size=20)
        for path, name in _files(folder, (*_WEIGHTS, ".json")):
            digest.update(f"{name}:{self.content_id(path)};".encode())
        return digest.hexdigest()

    def tiny_encoder(self, file: FileRef) -> FileRef | None:
        """The file that encodes for a tiny VAE whose `file` only decodes: `taesd_encoder` beside `taesd_decoder`."""
        path = Path(file.path)
        beside = path.with_name(path.name.replace("_decoder", "_encoder"))
        if beside == path or not beside.is_file():
            return None
        return FileRef("vae_approx", beside.name, str(beside), self.content_id(beside))

    def exists(self, kind: str, name: str) -> bool:
        return self._find(kind, name) is not None

    def sidecar(self, file: FileRef) -> FileRef | None:
        """The config that lies beside a file: the same stem, ending in .yaml or .yml."""
        path = _beside(Path(file.path))
        if path is None:
            return None
        name = str(PurePosixPath(file.name).with_suffix(path.suffix))
        return FileRef(file.kind, name, str(path), self.content_id(path))

    def content_id(self, path: Path) -> str:
        """A digest that changes when the file does. Files up to 64 MiB are read whole; of larger ones, 256 evenly
        spaced blocks, the size and the time of change are digested, which takes milliseconds."""
        status = path.stat()
        key = (str(path), status.st_size, status.st_mtime_ns)
        if key not in self._content_ids:
            self._content_ids[key] = _digest(path, status.st_size, status.st_mtime_ns)
        return self._content_ids[key]

    def _folders_of(self, kind: str) -> tuple[Path, ...]:
        if kind not in self._folders:
            raise UnknownModel(f"There is no kind of model called {kind!r}.", hint=f"Kinds: {', '.join(self.kinds())}.")
        return self._folders[kind]

    def _find(self, kind: str, name: str) -> Path | None:
        folders = self._folders_of(kind)
        if not _is_inside(name):
            raise UnknownModel(
                f"{name[:200]!r} is not a name inside models/{kind}.",
                hint="Use the file's name, with forward slashes for folders, as the list of models shows it.",
            )
        if kind == "vae" and name in _TINY_VAES:
            return self._tiny_vae(name, "decoder")
        if kind == "diffusers":
            name = f"{name}/{_FOLDER_INDEX}"
        if not name.lower().endswith(KINDS.get(kind, _WEIGHTS)):
            return None
        for folder in folders:
            path = folder / name
            if path.is_file():
                return path
        return None

    def _tiny_vae(self, name: str, side: str) -> Path | None:
        places = (folder / f"{name}_{side}{ending}" for folder in self._folders_of("vae_approx") for ending in _WEIGHTS)
        return next((path for path in places if path.is_file()), None)

    def _nearest(self, kind: str, name: str) -> str:
        names = [entry.name for entry in self.list(kind)]
        if not names:
            return f"That folder is empty: put a file into {self.models_dir / kind}."
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.4) or names[:3]
        return f"The nearest are: {', '.join(near)}."


def _beside(path: Path) -> Path | None:
    if path.suffix in _CONFIG_ENDINGS:
        return None
    return next((each for ending in _CONFIG_ENDINGS if (each := path.with_suffix(ending)).is_file()), None)


def _is_inside(name: str) -> bool:
    if not name or len(name) > 1024 or any(ord(char) < 32 for char in name) or "\\" in name:
        return False
    windows = PureWindowsPath(name)
    if windows.drive or windows.root or PurePosixPath(name).is_absolute():
        return False
    return all(part not in ("", ".", "..") for part in name.split("/"))


def _files(folder: Path, endings: tuple[str, ...]) -> Iterator[tuple[Path, str]]:
    seen: set[str] = set()
    for root, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:  # a link that leads back up
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for file in sorted(files):
            if file.lower().endswith(endings) and not file.startswith("."):
                path = Path(root) / file
                yield path, path.relative_to(folder).as_posix()


def _digest(path: Path, size: int, modified_ns: int) -> str:
    digest = hashlib.blake2b(digest_size=20)
    digest.update(size.to_bytes(8, "little"))
    with path.open("rb") as file:
        if size <= _WHOLE_FILE:
            while block := file.read(2**20):
                digest.update(block)
        else:
            digest.update(modified_ns.to_bytes(16, "little", signed=True))
            for index in range(_BLOCKS):
                file.seek((size - _BLOCK) * index // (_BLOCKS - 1))
                digest.update(file.read(_BLOCK))
    return digest.hexdigest()
