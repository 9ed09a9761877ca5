"""The files that a workflow may name: models by kind, and pictures of the inputs folder."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from executor.folders import Folders
from nodes.sdk.paths import OutsideFolder

INPUT_KIND = "input"
BLOCK = 1024 * 1024


class FileCatalogue(Protocol):
    """What checking and keying need to know of files. `kind` is a model kind, or `input` for pictures and the like,
    which lie in the inputs folder unless their name says another (`executor.folders.annotated`)."""

    def has(self, kind: str, name: str) -> bool: ...

    def names(self, kind: str) -> Sequence[str]: ...

    def content_id(self, kind: str, name: str) -> str:
        """A text that changes when the file's content does. Raises `OSError` when it can't be read."""
        ...


def input_names(folder: Path) -> list[str]:
    """The files of the inputs folder and the folders in it, by name; hidden ones are left out."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in found if not any(part.startswith(".") for part in path.parts))


def has_ending(name: str, endings: Collection[str]) -> bool:
    """Whether a file's name ends in one of these, in small letters or large ones."""
    return PurePosixPath(name).suffix.lower() in endings


class ModelEntry(Protocol):
    """A model file in a listing."""

    @property
    def name(self) -> str: ...


class Library(Protocol):
    """The part of `diffusion.library.ModelLibrary` that is used here; it is passed in, never imported."""

    def list(self, kind: str, /) -> Iterable[ModelEntry]: ...

    def resolve(self, kind: str, name: str, /) -> Any: ...


class Files:
    """The catalogue over a model library and the folders of pictures, all read at the moment of asking."""

    def __init__(self, library: Library | None, folders: Folders) -> None:
        self._library = library
        self._folders = folders
        self._hashes: dict[str, tuple[tuple[int, int], str]] = {}

    def has(self, kind: str, name: str) -> bool:
        if kind == INPUT_KIND:
            try:
                return self._folders.given(name).is_file()
            except (OutsideFolder, OSError):
                return False
        return name in self.names(kind)

    def names(self, kind: str) -> Sequence[str]:
        if kind == INPUT_KIND:
            return input_names(self._folders.inputs)
        return [] if self._library is None else [entry.name for entry in self._library.list(kind)]

    def content_id(self, kind: str, name: str) -> str:
        if kind != INPUT_KIND:
            if self._library is None:
                raise FileNotFoundError(name)
            return str(self._library.resolve(kind, name).content_id)
        path = self._folders.given(name)
        stat = path.stat()
        version = (stat.st_size, stat.st_mtime_ns)
        known = self._hashes.get(str(path))
        if known is not None and known[0] == version:
            return known[1]
        digest = hashlib.blake2b(digest_size=20)
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
        self._hashes[str(path)] = (version, digest.hexdigest())
        return digest.hexdigest()


class Snapshot:
    """A catalogue that asks another one once for each thing; it lives as long as one check or one job."""

    def __init__(self, files: FileCatalogue) -> None:
        self._files = files
        self._has: dict[tuple[str, str], bool] = {}
        self._names: dict[str, Sequence[str]] = {}
        self._ids: dict[tuple[str, str], str] = {}

    def has(self, kind: str, name: str) -> bool:
        if (kind, name) not in self._has:
            self._has[kind, name] = self._files.has(kind, name)
        return self._has[kind, name]

    def names(self, kind: str) -> Sequence[str]:
        if kind not in self._names:
            self._names[kind] = self._files.names(kind)
        return self._names[kind]

    def content_id(self, kind: str, name: str) -> str:
        if (kind, name) not in self._ids:
            self._ids[kind, name] = self._files.content_id(kind, name)
        return self._ids[kind, name]
