"""The folders of a data directory, and the names of new files in them."""

from __future__ import annotations

import mimetypes
import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from stat import S_ISREG
from typing import cast

from nodes.sdk.context import Folder, OutputFile, OutputPath
from nodes.sdk.paths import OutsideFolder, resolve_inside

NUMBER = re.compile(r"_(\d{5,})_")
UNSAFE = re.compile(r'[<>:"|?*\x00-\x1f]')
ANNOTATED = re.compile(r"(.+) \[(input|output|temp)\]", re.DOTALL)
DEFAULT_STEM = "latentgraph"
LONGEST_STEM = 120
MAX_TRIES = 100_000
PREVIEW_SECONDS = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Folders:
    """Where a job finds its pictures and leaves its results."""

    inputs: Path
    outputs: Path
    temp: Path
    cache: Path

    @staticmethod
    def below(data_dir: Path, outputs: Path | None = None) -> Folders:
        """The folders of a data directory; `outputs` may be elsewhere."""
        return Folders(data_dir / "inputs", outputs or data_dir / "outputs", data_dir / "temp", data_dir / "cache")

    def create(self) -> None:
        """Make sure that all of them are there."""
        for folder in (self.inputs, self.outputs, self.temp, self.cache):
            folder.mkdir(parents=True, exist_ok=True)

    def add_examples(self, examples: Path) -> None:
        """Copy the pictures that the example workflows name into the inputs, where they aren't there yet."""
        for picture in sorted(examples.glob("*.png")):
            if not (self.inputs / picture.name).exists():
                shutil.copyfile(picture, self.inputs / picture.name)

    def drop_old_previews(self) -> None:
        """Delete what has lain in the folder of temporary pictures for a week; a node that made one makes it again."""
        limit = time.time() - PREVIEW_SECONDS
        for path in self.temp.rglob("*"):
            if path.is_file() and path.stat().st_mtime < limit:
                path.unlink(missing_ok=True)

    def root(self, folder: Folder) -> Path:
        return {"input": self.inputs, "output": self.outputs, "temp": self.temp}[folder]

    def path(self, file: OutputFile) -> Path:
        """Where a file lies. Raises `OutsideFolder` when its name leads out of its folder."""
        return resolve_inside(self.root(file.type), file.relative)

    def given(self, name: str) -> Path:
        """Where a file lies that a workflow names: among the inputs, or where an annotation says.

        Raises `OutsideFolder` when its name leads out of its folder."""
        folder, plain = annotated(name)
        return resolve_inside(self.root(folder), plain)

    def stamp(self, file: OutputFile) -> str | None:
        """The size and time of change of a file, which tell it from another of its name; None when it isn't there."""
        try:
            status = (self.root(file.type) / file.relative).stat()
        except OSError:
            return None
        return f"{status.st_size}:{status.st_mtime_ns}" if S_ISREG(status.st_mode) else None


def annotated(name: str) -> tuple[Folder, str]:
    """The folder and the plain name of a file that a workflow names. ComfyUI writes `name [output]` for a file of its
    outputs, and its editor of masks `name [input]`."""
    match = ANNOTATED.fullmatch(name)
    return (cast("Folder", match[2]), match[1]) if match is not None else ("input", name)


def in_words(folder: Folder) -> str:
    """A folder as it is called in sentences."""
    return {"input": "the inputs folder", "output": "the outputs folder", "temp": "the folder of previews"}[folder]


class OutputNames:
    """Hands out file names that were never used: `<prefix>_00001_.png` and so on, claimed by creating the file.

    The folder is listed once for a prefix; after that the next number is tried, and another process that took it
    in the meantime only makes this one go on to the number after.
    """

    def __init__(self, folders: Folders) -> None:
        self._folders = folders
        self._next: dict[tuple[Path, str], int] = {}

    def reserve(self, prefix: str, extension: str, *, temporary: bool) -> OutputPath:
        """Claim a name; the file exists, empty, afterwards.

        Raises:
            OutsideFolder: the prefix leads out of the folder.
            OSError: the file can't be created.
        """
        kind: Folder = "temp" if temporary else "output"
        root = self._folders.root(kind)
        parts = [part for part in UNSAFE.sub("_", prefix.replace("\\", "/")).split("/") if part not in ("", ".")]
        if prefix.startswith(("/", "\\")) or ".." in parts:
            raise OutsideFolder(f"{prefix!r} leads outside {root.name}/")
        ends_open = not parts or prefix.endswith(("/", "\\"))
        stem = DEFAULT_STEM if ends_open else parts.pop()[:LONGEST_STEM].rstrip(". ") or DEFAULT_STEM
        subfolder = str(PurePosixPath(*parts)) if parts else ""
        folder = resolve_inside(root, subfolder) if subfolder else root.resolve()
        folder.mkdir(parents=True, exist_ok=True)
        ending = extension if extension.startswith(".") else f".{extension}"
        number = self._next.get((folder, stem)) or _first_free(folder, stem)
        for candidate in range(number, number + MAX_TRIES):
            name = f"{stem}_{candidate:05d}_{ending}"
            try:
                os.close(os.open(folder / name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
            except FileExistsError:
                continue
            self._next[folder, stem] = candidate + 1
            media = mimetypes.guess_type(name)[0] or "application/octet-stream"
            return OutputPath(folder / name, OutputFile(kind, subfolder, name, media))
        raise OSError(f"no free file name for {prefix!r} in {folder}")


def _first_free(folder: Path, stem: str) -> int:
    highest = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(f"{stem}_"):
                match = NUMBER.match(entry.name, len(stem))
                highest = max(highest, int(match[1])) if match else highest
    return highest + 1
