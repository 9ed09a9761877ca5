"""Where jobs run. An engine owns workers, tells the catalogue of their nodes, and turns a job into its events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from executor.events import JobEvent
from executor.run import JobRequest
from nodes.sdk.packs import PackReport
from nodes.sdk.spec import Catalogue

EngineState = Literal["starting", "ready", "restarting", "failed", "stopped"]


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """What an engine is doing; `device` and `precision` once they are known, `message` when something is wrong."""

    state: EngineState
    device: str | None = None
    precision: str | None = None
    message: str | None = None


class WorkerDied(Exception):
    """The worker of a job ended before the job did; the message says how."""


class EngineFailed(Exception):
    """The engine can't start a worker; the message says why."""


class Engine(Protocol):
    """What the job service and the command line need of an engine."""

    @property
    def catalogue(self) -> Catalogue | None:
        """The nodes there are; None until the first worker is ready."""
        ...

    @property
    def packs(self) -> Sequence[PackReport]: ...

    @property
    def status(self) -> EngineStatus: ...

    @property
    def slots(self) -> int:
        """How many jobs run at the same time."""
        ...

    def watch(self, callback: Callable[[EngineStatus], None]) -> None:
        """Call back, on the event loop, whenever the status changes."""
        ...

    async def start(self) -> None:
        """Start the workers and wait for the catalogue. Raises `EngineFailed`."""
        ...

    async def settled(self) -> None:
        """Wait while every worker is being started, until one is ready or none can be."""
        ...

    def submit(self, request: JobRequest) -> AsyncIterator[Sequence[JobEvent]]:
        """Run a job; batches of its events, the last event of the last batch being its `JobEnd`.

        Raises:
            WorkerDied: the worker ended on the way; the engine starts another one.
            EngineFailed: there is no worker and none can be started.
        """
        ...

    async def cancel(self, job_id: str) -> None:
        """Ask a running job to stop; its stream ends with `JobCancelled` unless it had ended before."""
        ...

    async def stop(self) -> None:
        """End the workers."""
        ...
