"""The job service: takes workflows, keeps the queue moving, and tells what happens.

A job is checked, stored, and only then acknowledged. One dispatcher for each slot of the engine takes the oldest
waiting job, and stores how it ended. Used from one event loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, cast

from executor.engines import Engine, EngineFailed, EngineStatus, WorkerDied
from executor.events import (
    EngineChanged,
    Event,
    JobCancelled,
    JobDone,
    JobEnd,
    JobError,
    JobEvent,
    JobFailed,
    JobQueued,
    QueueChanged,
)
from executor.files import FileCatalogue
from executor.formats.document import Document, read_text
from executor.formats.litegraph import as_native
from executor.formats.prompts import as_edited
from executor.hub import EventHub, SlowSubscriber, StampedEvent, Subscription
from executor.ids import JobIds
from executor.prepare import Prepared, prepare, prepare_or_refuse
from executor.problems import InvalidWorkflow, Problem
from executor.queue import MAX_ATTEMPTS, Job, JobQueue, JobState
from executor.run import JobRequest
from nodes.sdk.packs import PackReport
from nodes.sdk.spec import Catalogue

__all__ = [
    "EngineBroken",
    "EngineNotReady",
    "InvalidWorkflow",
    "JobFinished",
    "JobService",
    "QueueFull",
    "SlowSubscriber",
    "StampedEvent",
    "Submitted",
    "Subscription",
    "UnknownJob",
]

T = TypeVar("T")

LARGE = 200
MAX_QUEUED = 10_000

log = logging.getLogger("latentgraph.jobs")


class UnknownJob(KeyError):
    """There is no job with this id."""


class JobFinished(Exception):
    """The job has ended, so it can't be cancelled."""


class EngineNotReady(Exception):
    """The nodes are not known yet."""


class EngineBroken(EngineNotReady):
    """The nodes will not be known before the server is started again: the engine can't start; the message says why."""


class QueueFull(Exception):
    """As many jobs wait as are allowed to."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """A stored job, its place in the queue (0 is next), and what is odd about it."""

    job: Job
    position: int
    warnings: Sequence[Problem]


class JobService:
    """Jobs from submission to result.

    Args:
        database: the file that holds the jobs.
        engine: runs them.
        files: the models and pictures that workflows may name.
        max_queued: how many jobs may wait.
    """

    def __init__(self, database: Path, engine: Engine, files: FileCatalogue, *, max_queued: int = MAX_QUEUED) -> None:
        self._queue = JobQueue(database)
        self._engine = engine
        self._files = files
        self._max_queued = max_queued
        self._ids = JobIds()
        self._hub = EventHub()
        self._waiting: list[str] = []
        self._running: dict[str, bool] = {}
        self._arrived = asyncio.Condition()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def catalogue(self) -> Catalogue | None:
        """The nodes there are; None until the first worker is ready."""
        return self._engine.catalogue

    @property
    def packs(self) -> Sequence[PackReport]:
        return self._engine.packs

    @property
    def engine(self) -> EngineStatus:
        return self._engine.status

    async def start(self) -> None:
        """Open the database and start the engine in the background; returns once jobs can be listed."""
        await self._queue.open()
        self._waiting = await self._queue.queued()
        self._engine.watch(self._engine_changed)
        self._tasks = [asyncio.create_task(self._start_engine())]
        self._tasks += [asyncio.create_task(self._dispatch()) for _ in range(self._engine.slots)]

    async def stop(self) -> None:
        """Stop the engine and close the database. Jobs that run are run again after the next start, but for those
        that are being cancelled."""
        interrupted = list(self._running)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._engine.stop()
        for job_id in interrupted:
            await self._queue.release(job_id)
        await self._queue.close()

    async def submit(self, document: Document, targets: Sequence[str] | None = None) -> Submitted:
        """Check and store a workflow; it is on disk when this returns.

        Raises:
            InvalidWorkflow: it can't run, or is no workflow (`BadDocument`).
            EngineNotReady: there is nothing to check it against yet.
            QueueFull: too many jobs wait.
        """
        catalogue = self.require_catalogue()
        if len(self._waiting) >= self._max_queued:
            raise QueueFull(f"{len(self._waiting):,} jobs wait already; try again when some are done.")

        def look() -> tuple[Prepared, Document, str]:
            native = as_native(document, catalogue)
            return prepare_or_refuse(native, catalogue, self._files, targets), native, native.to_text()

        prepared, native, text = await _worked(document, look)
        job_id = self._ids.new()
        job = await self._queue.add(job_id, text, native.title, prepared.targets)
        self._waiting.append(job_id)
        position = len(self._waiting) - 1
        self._publish(job_id, [JobQueued(position)])
        self._tell_queue()
        async with self._arrived:
            self._arrived.notify()
        return Submitted(job, position, prepared.checked.warnings)

    async def check(self, document: Document) -> tuple[list[Problem], list[Problem]]:
        """The problems and the warnings of a workflow.

        Raises:
            BadDocument: it is no workflow.
            EngineNotReady: there is nothing to check it against yet.
        """
        catalogue = self.require_catalogue()
        checked = await _worked(
            document, lambda: prepare(as_native(document, catalogue), catalogue, self._files).checked
        )
        return checked.problems, checked.warnings

    async def native(self, document: Document) -> Document:
        """A document as the editor takes it, whatever it was read from.

        Raises:
            BadDocument: it is no workflow.
            EngineNotReady: it can't be read before the nodes are known.
        """
        if document.origin == "native":
            return document
        catalogue = self.require_catalogue()
        read = as_edited if document.origin == "prompt" else as_native
        return await _worked(document, lambda: read(document, catalogue))

    async def get(self, job_id: str) -> Job:
        """A job by its id. Raises `UnknownJob`."""
        job = await self._queue.get(job_id)
        if job is None:
            raise UnknownJob(job_id)
        return job

    async def list(self, state: JobState | str | None = None, limit: int = 50, before: str | None = None) -> list[Job]:
        """Jobs, the newest first."""
        return await self._queue.list(cast("JobState | None", state), limit, before)

    async def document(self, job_id: str) -> dict[str, Any]:
        """The native document of a job. Raises `UnknownJob`."""
        text = await self._queue.document(job_id)
        if text is None:
            raise UnknownJob(job_id)
        return (await asyncio.to_thread(read_text, text)).to_json()

    async def cancel(self, job_id: str) -> Job:
        """Cancel a job. A running one stops at its next step; the reply does not wait for that.

        Returns:
            The job, `cancelled` when it was waiting, `running` when it is being stopped.

        Raises:
            UnknownJob: there is none with this id.
            JobFinished: it has ended.
        """
        if job_id in self._waiting:
            self._waiting.remove(job_id)
            await self._end(job_id, JobCancelled())
            self._tell_queue()
            return await self.get(job_id)
        if job_id in self._running:
            self._running[job_id] = True
            await self._queue.ask_cancel(job_id)
            await self._engine.cancel(job_id)
            job = await self.get(job_id)
            return job if job.finished else replace(job, state="running")
        job = await self.get(job_id)
        raise JobFinished(f"The job has ended ({job.state}), so it can't be cancelled.")

    def position(self, job_id: str) -> int | None:
        """A waiting job's place in the queue, 0 being next; None when it doesn't wait."""
        return self._waiting.index(job_id) if job_id in self._waiting else None

    def queue_state(self) -> dict[str, list[str]]:
        """The ids of running and waiting jobs, in order."""
        return {"running": [*self._running], "queued": [*self._waiting]}

    def subscribe(self) -> Subscription:
        """A listener to everything that happens from now on."""
        return self._hub.subscribe()

    def replay(self, job_id: str, since: int) -> list[StampedEvent]:
        """The events of a job after number `since`, as far as they are kept."""
        return self._hub.replay(job_id, since)

    def require_catalogue(self) -> Catalogue:
        """The nodes there are.

        Raises:
            EngineNotReady: the first worker is not ready yet.
            EngineBroken: none can be started.
        """
        catalogue = self._engine.catalogue
        if catalogue is None:
            status = self._engine.status
            if status.state == "failed":
                raise EngineBroken(f"The engine can't start. {status.message or 'The log of the server says why.'}")
            raise EngineNotReady("The node packs are still being loaded; try again in a second.")
        return catalogue

    async def _start_engine(self) -> None:
        try:
            await self._engine.start()
        except EngineFailed as error:
            log.error("the engine can't start: %s", error)

    async def _dispatch(self) -> None:
        while True:
            async with self._arrived:
                await self._arrived.wait_for(lambda: bool(self._waiting))
            # A job that is begun while there is no worker would pay with an attempt for a second crash.
            await self._engine.settled()
            if not self._waiting:
                continue
            job_id = self._waiting.pop(0)
            self._running[job_id] = False
            self._tell_queue()
            again = False
            try:
                again = await self._run(job_id)
            except asyncio.CancelledError:
                raise
            except Exception as error:
                log.exception("job %s met an error of the job service", job_id)
                message = f"The job service failed: {type(error).__name__}: {error}"
                await self._end(job_id, JobFailed(JobError("internal_error", message), {}))
            finally:
                self._running.pop(job_id, None)
            if again:
                self._waiting.insert(0, job_id)
                self._publish(job_id, [JobQueued(0)])
            self._tell_queue()

    async def _run(self, job_id: str) -> bool:
        """Run a job to its end; whether it has to be run again."""
        text, targets, attempt = await self._queue.begin(job_id)
        if self._running[job_id]:
            await self._end(job_id, JobCancelled())
            return False
        try:
            async for batch in self._engine.submit(JobRequest(job_id, text, attempt, targets)):
                last = batch[-1]
                if isinstance(last, JobEnd):
                    self._publish(job_id, batch[:-1])
                    await self._end(job_id, last)
                    return False
                self._publish(job_id, batch)
        except WorkerDied as death:
            if attempt < MAX_ATTEMPTS and not self._running[job_id]:
                log.warning("job %s: %s It is tried once more.", job_id, death)
                await self._queue.requeue(job_id)
                if not self._running[job_id]:
                    return True
            if self._running[job_id]:
                await self._end(job_id, JobCancelled())
            else:
                message = f"{death} It was tried {attempt} times."
                await self._end(job_id, JobFailed(JobError("worker_died", message), {}))
        except EngineFailed as failure:
            await self._end(job_id, JobFailed(JobError("engine_failed", str(failure)), {}))
        return False

    async def _end(self, job_id: str, end: JobDone | JobFailed | JobCancelled) -> None:
        match end:
            case JobDone(_, outputs):
                await self._queue.finish(job_id, "done", outputs)
            case JobFailed(error, outputs):
                await self._queue.finish(job_id, "failed", outputs, error)
            case JobCancelled():
                await self._queue.finish(job_id, "cancelled", {})
        self._publish(job_id, [end])

    def _publish(self, job_id: str, events: Sequence[JobEvent]) -> None:
        if events:
            self._hub.publish(job_id, cast("Sequence[Event]", events))

    def _tell_queue(self) -> None:
        self._hub.publish(None, [QueueChanged(tuple(self._running), tuple(self._waiting))])

    def _engine_changed(self, status: EngineStatus) -> None:
        self._hub.publish(None, [EngineChanged(status.state, status.device, status.precision, status.message)])


async def _worked(document: Document, work: Callable[[], T]) -> T:
    """The result of work on a document, done in a thread when it would hold up everything else."""
    small = document.litegraph is None and len(document.nodes) <= LARGE
    return work() if small else await asyncio.to_thread(work)
