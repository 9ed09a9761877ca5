"""What happens while a job runs, as frozen values that travel from the worker to whoever listens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeVar

from nodes.sdk.context import OutputFile

JsonObject = dict[str, Any]
OutputFiles = Mapping[str, Sequence[OutputFile]]


def files_json(outputs: OutputFiles) -> JsonObject:
    """Files by node as JSON; nodes without any are left out."""
    return {node: [file.to_json() for file in files] for node, files in outputs.items() if files}


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. `type` names it in JSON."""

    type: ClassVar[str] = ""

    def to_json(self) -> JsonObject:
        """The event's own fields and its type."""
        return {"type": self.type}


@dataclass(frozen=True, slots=True)
class JobError:
    """Why a job failed, and at which node when it was a node's doing."""

    code: str
    message: str
    node: str | None = None
    class_type: str | None = None
    input: str | None = None
    detail: str | None = None

    def to_json(self) -> JsonObject:
        return {
            "code": self.code,
            "message": self.message,
            "node": self.node,
            "class_type": self.class_type,
            "input": self.input,
            "detail": self.detail,
        }


@dataclass(frozen=True, slots=True)
class JobQueued(Event):
    """The job is stored and waits; `position` 0 is next."""

    type: ClassVar[str] = "job_queued"
    position: int

    def to_json(self) -> JsonObject:
        return {"type": self.type, "position": self.position}


@dataclass(frozen=True, slots=True)
class JobStarted(Event):
    """The job was planned: of `nodes` needed nodes, `cached` need not run."""

    type: ClassVar[str] = "job_started"
    attempt: int
    nodes: int
    cached: int

    def to_json(self) -> JsonObject:
        return {"type": self.type, "attempt": self.attempt, "nodes": self.nodes, "cached": self.cached}


@dataclass(frozen=True, slots=True)
class NodesCached(Event):
    """Nodes that need not run, and the files that they show."""

    type: ClassVar[str] = "nodes_cached"
    nodes: tuple[str, ...]
    outputs: OutputFiles

    def to_json(self) -> JsonObject:
        return {"type": self.type, "nodes": list(self.nodes), "outputs": files_json(self.outputs)}


@dataclass(frozen=True, slots=True)
class NodeStarted(Event):
    type: ClassVar[str] = "node_started"
    node: str

    def to_json(self) -> JsonObject:
        return {"type": self.type, "node": self.node}


@dataclass(frozen=True, slots=True)
class NodeProgress(Event):
    """`done` of `total` steps of a node are done."""

    type: ClassVar[str] = "node_progress"
    node: str
    done: int
    total: int

    def to_json(self) -> JsonObject:
        return {"type": self.type, "node": self.node, "done": self.done, "total": self.total}


@dataclass(frozen=True, slots=True)
class NodePreview(Event):
    """What a node has so far, as a JPEG. Sent as a binary frame, never numbered and never replayed."""

    type: ClassVar[str] = "node_preview"
    node: str
    done: int
    total: int
    width: int
    height: int
    jpeg: bytes

    def to_json(self) -> JsonObject:
        return {
            "type": self.type,
            "node": self.node,
            "done": self.done,
            "total": self.total,
            "width": self.width,
            "height": self.height,
        }


@dataclass(frozen=True, slots=True)
class NodeDone(Event):
    """A node is done, and with it every node that shares its result: `finished` of the job's nodes are done now, those
    that need not run among them."""

    type: ClassVar[str] = "node_done"
    node: str
    seconds: float
    outputs: tuple[OutputFile, ...] = ()
    finished: int = 0

    def to_json(self) -> JsonObject:
        return {
            "type": self.type,
            "node": self.node,
            "seconds": self.seconds,
            "outputs": [file.to_json() for file in self.outputs],
            "finished": self.finished,
        }


@dataclass(frozen=True, slots=True)
class NodeWarned(Event):
    """Something that did not stop a node, and that its person should know."""

    type: ClassVar[str] = "node_warning"
    node: str
    message: str

    def to_json(self) -> JsonObject:
        return {"type": self.type, "node": self.node, "message": self.message}


@dataclass(frozen=True, slots=True)
class NodeFailed(Event):
    type: ClassVar[str] = "node_failed"
    error: JobError

    def to_json(self) -> JsonObject:
        return {"type": self.type, **self.error.to_json()}


@dataclass(frozen=True, slots=True)
class JobDone(Event):
    """The job ended well; `outputs` are the files of its output nodes, cached or new."""

    type: ClassVar[str] = "job_done"
    seconds: float
    outputs: OutputFiles

    def to_json(self) -> JsonObject:
        return {"type": self.type, "seconds": self.seconds, "outputs": files_json(self.outputs)}


@dataclass(frozen=True, slots=True)
class JobFailed(Event):
    """The job ended with an error; `outputs` are the files of the nodes that had finished before. `refused`: the
    workflow can't be run as it is, and nothing of it was."""

    type: ClassVar[str] = "job_failed"
    error: JobError
    outputs: OutputFiles
    refused: bool = False

    def to_json(self) -> JsonObject:
        return {"type": self.type, "error": self.error.to_json(), "outputs": files_json(self.outputs)}


@dataclass(frozen=True, slots=True)
class JobCancelled(Event):
    type: ClassVar[str] = "job_cancelled"


E = TypeVar("E", bound="JobEvent")


def of_originals(event: E, origins: Mapping[str, str]) -> E:
    """An event of a copied node as one of the node it was made from."""
    match event:
        case NodeStarted(node) | NodeProgress(node) | NodePreview(node) | NodeWarned(node) | NodeDone(node):
            return replace(event, node=origins.get(node, node))
        case NodeFailed(error):
            return replace(event, error=replace(error, node=origins.get(error.node or "", error.node)))
        case NodesCached(nodes, outputs):
            named = {origins.get(node, node): files for node, files in outputs.items()}
            return replace(event, nodes=tuple(dict.fromkeys(origins.get(node, node) for node in nodes)), outputs=named)
        case _:
            return event


@dataclass(frozen=True, slots=True)
class EngineChanged(Event):
    """The engine's state; `device` and `precision` once they are known, `message` when something is wrong."""

    type: ClassVar[str] = "engine"
    state: str
    device: str | None = None
    precision: str | None = None
    message: str | None = None

    def to_json(self) -> JsonObject:
        return {
            "type": self.type,
            "state": self.state,
            "device": self.device,
            "precision": self.precision,
            "message": self.message,
        }


@dataclass(frozen=True, slots=True)
class QueueChanged(Event):
    """The ids of the running and of the waiting jobs, in order."""

    type: ClassVar[str] = "queue"
    running: tuple[str, ...]
    queued: tuple[str, ...]

    def to_json(self) -> JsonObject:
        return {"type": self.type, "running": list(self.running), "queued": list(self.queued)}


JobEnd = JobDone | JobFailed | JobCancelled
JobEvent = (
    JobQueued
    | JobStarted
    | NodesCached
    | NodeStarted
    | NodeProgress
    | NodePreview
    | NodeWarned
    | NodeDone
    | NodeFailed
    | JobEnd
)


def supersedes(event: Event, before: Event) -> bool:
    """Whether an event makes the one right before it worthless: of a node's progress, only the last matters."""
    return type(event) is NodeProgress and type(before) is NodeProgress and event.node == before.node
