"""What nodes receive as their `Context`: the view of one node on the job it runs in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from executor.events import JobEvent, NodePreview, NodeProgress
from executor.files import Library
from executor.folders import Folders, OutputNames, annotated, in_words
from executor.formats.document import Document
from executor.graph import Graph
from nodes.sdk.context import OutputFile, OutputPath, PreviewFrame
from nodes.sdk.errors import Cancelled, NodeError
from nodes.sdk.paths import OutsideFolder

if TYPE_CHECKING:
    from diffusion.residency import Residency
    from diffusion.values import FileRef


class Resources(Protocol):
    """The heavy things of a worker, made by the factory that its configuration names. Attributes are lazy."""

    @property
    def library(self) -> Library: ...

    @property
    def residency(self) -> Any: ...

    @property
    def device_class(self) -> str:
        """What of the device and precision decides results, such as `cpu/bf16`; asking may import torch."""
        ...

    def free(self) -> None:
        """Let go of all memory that is not in use at this moment."""
        ...


class ResourceFactory(Protocol):
    """Makes the resources of a worker; `diffusion.worker_resources.create` is the one that has models."""

    def __call__(
        self,
        models_dir: Path,
        *,
        device: str,
        precision: str,
        vram_budget: int | None,
        ram_budget: int | None,
        compile: bool,
    ) -> Resources: ...


class JobScope:
    """What the contexts of all nodes of a job share."""

    def __init__(
        self,
        job_id: str,
        document: Document,
        graph: Graph,
        folders: Folders,
        names: OutputNames,
        resources: Resources,
        emit: Callable[[JobEvent], None],
        cancelled: Callable[[], bool],
    ) -> None:
        self.job_id = job_id
        self.folders = folders
        self.names = names
        self.resources = resources
        self.emit = emit
        self.cancelled = cancelled
        self._document = document
        self._graph = graph

    @cached_property
    def document(self) -> Mapping[str, Any]:
        return self._document.to_json()

    @cached_property
    def prompt(self) -> Mapping[str, Any]:
        return self._graph.to_prompt()


class JobContext:
    """The `Context` of one node in one job."""

    def __init__(self, scope: JobScope, node_id: str) -> None:
        self._scope = scope
        self._node = node_id
        self._reserved: list[OutputPath] = []
        self.published: list[OutputFile] = []

    @property
    def job_id(self) -> str:
        return self._scope.job_id

    @property
    def node_id(self) -> str:
        return self._node

    @property
    def document(self) -> Mapping[str, Any]:
        return self._scope.document

    @property
    def prompt(self) -> Mapping[str, Any]:
        return self._scope.prompt

    @property
    def residency(self) -> Residency:
        return self._scope.resources.residency

    def check_cancelled(self) -> None:
        if self._scope.cancelled():
            raise Cancelled

    def progress(self, done: int, total: int, preview: PreviewFrame | None = None) -> None:
        self.check_cancelled()
        self._scope.emit(NodeProgress(self._node, done, total))
        if preview is not None:
            self._scope.emit(NodePreview(self._node, done, total, preview.width, preview.height, preview.jpeg))

    def model_file(self, kind: str, name: str) -> FileRef:
        return self._scope.resources.library.resolve(kind, name)

    def input_file(self, name: str) -> Path:
        try:
            path = self._scope.folders.given(name)
        except OutsideFolder as error:
            raise NodeError(f"{error}; use the name of a file in the inputs folder.", code="missing_file") from error
        if not path.is_file():
            folder, plain = annotated(name)
            raise NodeError(f"There is no file {plain!r} in {in_words(folder)}; upload it.", code="missing_file")
        return path

    def reserve_output(self, prefix: str, extension: str, *, temporary: bool = False) -> OutputPath:
        try:
            reserved = self._scope.names.reserve(prefix, extension, temporary=temporary)
        except OutsideFolder as error:
            raise NodeError(
                f"{error}; use a file name without `..` that does not begin with a slash.", code="outside_folder"
            ) from error
        self._reserved.append(reserved)
        return reserved

    def publish(self, file: OutputFile) -> None:
        self.published.append(file)

    def close(self) -> None:
        """Remove the names that were claimed and never published, so that a failed node leaves no empty files."""
        shown = {(file.type, file.relative) for file in self.published}
        for reserved in self._reserved:
            if (reserved.file.type, reserved.file.relative) not in shown:
                reserved.path.unlink(missing_ok=True)
