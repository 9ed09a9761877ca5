"""A context for calling nodes without a job: real folders, a real library, and a record of what the node reported."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from diffusion.library import ModelLibrary
from diffusion.residency import Residency
from diffusion.values import FileRef
from executor.folders import Folders, OutputNames
from nodes.sdk import Cancelled, OutputFile, OutputPath, PreviewFrame


class FakeContext:
    """Satisfies `nodes.sdk.Context`. `cancel_at` raises Cancelled at that many progress reports."""

    def __init__(self, folder: Path, prompt: Mapping[str, Any] | None = None, node_id: str = "9") -> None:
        self.job_id = "job"
        self.node_id = node_id
        self.prompt: Mapping[str, Any] = prompt or {}
        self.document: Mapping[str, Any] = {"format": "latentgraph/1", "nodes": self.prompt}
        self.folders = Folders.below(folder)
        self.folders.create()
        self.library = ModelLibrary(folder / "models")
        self.residency = Residency(self.library, "cpu", "fp32")
        self.published: list[OutputFile] = []
        self.steps: list[tuple[int, int]] = []
        self.previews: list[PreviewFrame] = []
        self.cancel_at: int | None = None
        self.cancelled = False
        self._names = OutputNames(self.folders)

    def progress(self, done: int, total: int, preview: PreviewFrame | None = None) -> None:
        self.steps.append((done, total))
        if preview is not None:
            self.previews.append(preview)
        if self.cancel_at is not None and len(self.steps) >= self.cancel_at:
            self.cancelled = True
        self.check_cancelled()

    def check_cancelled(self) -> None:
        if self.cancelled:
            raise Cancelled

    def model_file(self, kind: str, name: str) -> FileRef:
        return self.library.resolve(kind, name)

    def input_file(self, name: str) -> Path:
        return self.folders.inputs / name

    def reserve_output(self, prefix: str, extension: str, *, temporary: bool = False) -> OutputPath:
        return self._names.reserve(prefix, extension, temporary=temporary)

    def publish(self, file: OutputFile) -> None:
        self.published.append(file)

    def paths(self) -> list[Path]:
        """The published files."""
        return [self.folders.path(file) for file in self.published]
