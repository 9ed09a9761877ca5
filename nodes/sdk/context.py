"""What a node may do beside computing: report progress, notice a cancel, find files, save results.

A parameter annotated `Context` receives one. It is deliberately narrow: a node sees no queue, no server and no other
node, so a unit test can pass a small fake.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from diffusion.residency import Residency
    from diffusion.values import FileRef

Folder = Literal["output", "temp", "input"]


@dataclass(frozen=True, slots=True)
class PreviewFrame:
    """A small JPEG of what a node has so far."""

    jpeg: bytes
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class OutputFile:
    """A file that a job made (or was given), named relative to its folder; what a client needs to fetch it."""

    type: Folder
    subfolder: str
    filename: str
    media: str = "image/png"
    width: int | None = None
    height: int | None = None

    @property
    def relative(self) -> str:
        """Path below the folder, with forward slashes."""
        return f"{self.subfolder}/{self.filename}" if self.subfolder else self.filename

    def to_json(self) -> dict[str, Any]:
        return {
            "type": self.type,
            "subfolder": self.subfolder,
            "filename": self.filename,
            "media": self.media,
            "width": self.width,
            "height": self.height,
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> OutputFile:
        return OutputFile(
            type=data["type"],
            subfolder=data["subfolder"],
            filename=data["filename"],
            media=data.get("media", "image/png"),
            width=data.get("width"),
            height=data.get("height"),
        )


@dataclass(frozen=True, slots=True)
class OutputPath:
    """A name reserved for a result: the node writes `path`, then publishes `file`."""

    path: Path
    file: OutputFile


class Context(Protocol):
    """The job as one of its nodes sees it."""

    @property
    def job_id(self) -> str: ...

    @property
    def node_id(self) -> str: ...

    @property
    def document(self) -> Mapping[str, Any]:
        """The workflow document of the job, to be stored beside its results."""
        ...

    @property
    def prompt(self) -> Mapping[str, Any]:
        """The nodes that run, as a ComfyUI API prompt."""
        ...

    @property
    def residency(self) -> Residency:
        """Turns model references into weights on the device."""
        ...

    def progress(self, done: int, total: int, preview: PreviewFrame | None = None) -> None:
        """Report that `done` of `total` steps are done. Raises `Cancelled` when the job was cancelled."""
        ...

    def check_cancelled(self) -> None:
        """Raise `Cancelled` when the job was cancelled."""
        ...

    def model_file(self, kind: str, name: str) -> FileRef:
        """The file `models/<kind>/<name>`. Raises an error that lists the nearest names when it is not there."""
        ...

    def input_file(self, name: str) -> Path:
        """A file of the inputs folder, or of the one that its name ends with, as in `a.png [output]`.

        Raises `NodeError` when there is none or the name leaves the folder."""
        ...

    def reserve_output(self, prefix: str, extension: str, *, temporary: bool = False) -> OutputPath:
        """Claim a new file name `<prefix>_00001_<extension>` with the next free number, creating it empty.

        `prefix` may hold subfolders but must stay inside the folder; an existing file is never claimed.
        """
        ...

    def publish(self, file: OutputFile) -> None:
        """Show a file as a result of this node."""
        ...
