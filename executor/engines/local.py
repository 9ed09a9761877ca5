"""The default engine: a worker process for each device of this machine."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace

from executor.engines import EngineFailed, EngineState, EngineStatus, WorkerDied
from executor.engines.process import WorkerProcess
from executor.events import JobCancelled, JobEnd, JobEvent
from executor.messages import Broken, CancelJob, DeviceKnown, Events, Ready, Reply, RunJob, WorkerConfig
from executor.run import JobRequest
from nodes.sdk.packs import PackReport
from nodes.sdk.spec import Catalogue

FAILED_STARTS = 3
RESTART_PAUSE = 0.5

log = logging.getLogger("latentgraph.engine")


class LocalEngine:
    """Workers as child processes; one that dies is started again.

    Args:
        config: what the workers are told. A device such as `cuda:0,cuda:1` gives one worker for each.
    """

    def __init__(self, config: WorkerConfig) -> None:
        devices = [device.strip() for device in config.device.split(",") if device.strip()] or ["auto"]
        self._slots = [_Slot(replace(config, device=device), self._changed) for device in devices]
        self._free: asyncio.Queue[_Slot] = asyncio.Queue()
        for slot in self._slots:
            self._free.put_nowait(slot)
        self._running: dict[str, _Slot | None] = {}
        self._cancelled: set[str] = set()
        self._watchers: list[Callable[[EngineStatus], None]] = []

    @property
    def catalogue(self) -> Catalogue | None:
        return next((slot.catalogue for slot in self._slots if slot.catalogue is not None), None)

    @property
    def packs(self) -> Sequence[PackReport]:
        return next((slot.packs for slot in self._slots if slot.catalogue is not None), ())

    @property
    def slots(self) -> int:
        return len(self._slots)

    @property
    def status(self) -> EngineStatus:
        first: Sequence[EngineState] = ("ready", "starting", "restarting", "failed", "stopped")
        leading = min(self._slots, key=lambda slot: first.index(slot.state))
        known = [slot.device_class for slot in self._slots if slot.device_class]
        device, _, precision = known[0].partition("/") if known else ("", "", "")
        return EngineStatus(leading.state, device or None, precision or None, leading.message)

    def watch(self, callback: Callable[[EngineStatus], None]) -> None:
        self._watchers.append(callback)

    async def start(self) -> None:
        for slot in self._slots:
            slot.start()
        await asyncio.gather(*(slot.settled() for slot in self._slots))
        if not self._hopeful():
            raise EngineFailed(self.status.message or "the engine has been stopped")

    async def settled(self) -> None:
        waiting = [asyncio.ensure_future(slot.settled()) for slot in self._hopeful()]
        if not waiting:
            return
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()

    async def submit(self, request: JobRequest) -> AsyncIterator[Sequence[JobEvent]]:
        job_id = request.job_id
        self._running[job_id] = None
        try:
            slot = await self._ready_slot()
            try:
                if job_id in self._cancelled:
                    yield (JobCancelled(),)
                    return
                self._running[job_id] = slot
                async for batch in slot.run(request):
                    yield batch
            finally:
                self._give_back(slot)
        finally:
            del self._running[job_id]
            self._cancelled.discard(job_id)

    async def cancel(self, job_id: str) -> None:
        if job_id not in self._running:
            return
        slot = self._running[job_id]
        if slot is None:
            self._cancelled.add(job_id)
        else:
            slot.cancel(job_id)

    async def stop(self) -> None:
        await asyncio.gather(*(slot.stop() for slot in self._slots))

    def _hopeful(self) -> list[_Slot]:
        """The slots that have a worker or may get one."""
        return [slot for slot in self._slots if slot.state not in ("failed", "stopped")]

    async def _ready_slot(self) -> _Slot:
        """A free slot whose worker is ready. Raises `EngineFailed` once no slot can have one."""
        while True:
            slot = await self._free.get()
            try:
                await slot.settled()
            except asyncio.CancelledError:
                self._give_back(slot)
                raise
            if slot.state == "ready":
                return slot
            self._give_back(slot)
            if slot.state == "stopped" or not self._hopeful():
                raise EngineFailed(slot.message or "the engine has been stopped")

    def _give_back(self, slot: _Slot) -> None:
        """Let others have a slot. One that failed for good is kept from them, unless all did: then it goes from one
        that waits for a slot to the next, and each learns that there is none."""
        if slot.state != "failed" or not self._hopeful():
            self._free.put_nowait(slot)

    def _changed(self) -> None:
        status = self.status
        for callback in self._watchers:
            callback(status)


class _Slot:
    """A place for one worker, filled again whenever its process dies."""

    def __init__(self, config: WorkerConfig, changed: Callable[[], None]) -> None:
        self._config = config
        self._changed = changed
        self._process: WorkerProcess | None = None
        self._ready = asyncio.Event()
        self._inbox: asyncio.Queue[Events | WorkerDied] = asyncio.Queue()
        self._failed_starts = 0
        self._broken: str | None = None
        self.state: EngineState = "starting"
        self.message: str | None = None
        self.catalogue: Catalogue | None = None
        self.packs: Sequence[PackReport] = ()
        self.device_class: str | None = None

    def start(self) -> None:
        self._broken = None
        self._process = WorkerProcess(self._config, self._heard, self._ended)

    async def settled(self) -> None:
        while self.state in ("starting", "restarting"):
            await self._ready.wait()

    async def run(self, request: JobRequest) -> AsyncIterator[Sequence[JobEvent]]:
        while not self._inbox.empty():
            self._inbox.get_nowait()
        assert self._process is not None
        process = self._process
        await asyncio.to_thread(process.send, RunJob(request))
        while True:
            heard = await self._inbox.get()
            if isinstance(heard, WorkerDied):
                raise heard
            if heard.job_id != request.job_id:
                continue
            yield heard.events
            if heard.events and isinstance(heard.events[-1], JobEnd):
                return

    def cancel(self, job_id: str) -> None:
        if self._process is not None:
            self._process.send(CancelJob(job_id))

    async def stop(self) -> None:
        self._set("stopped")
        self._ready.set()
        if self._process is not None:
            await self._process.stop()

    def _set(self, state: EngineState, message: str | None = None) -> None:
        self.state, self.message = state, message
        self._changed()

    def _heard(self, reply: Reply) -> None:
        match reply:
            case Events():
                self._inbox.put_nowait(reply)
            case Ready(catalogue, packs):
                self.catalogue, self.packs = Catalogue.from_json(catalogue), packs
                self._failed_starts = 0
                if self.state != "stopped":
                    self._set("ready")
                    self._ready.set()
            case DeviceKnown(device_class):
                self.device_class = device_class
                self._changed()
            case Broken(message):
                self._broken = message

    def _ended(self, how: str) -> None:
        if self.state == "stopped":
            self._inbox.put_nowait(WorkerDied("the engine was stopped"))
            return
        was_ready = self.state == "ready"
        self._inbox.put_nowait(WorkerDied(f"The worker process {how}."))
        self._failed_starts = 0 if was_ready else self._failed_starts + 1
        if self._failed_starts >= FAILED_STARTS:
            self._set("failed", f"The worker process {how} at its start. {self._broken or ''}".strip())
            log.error("no worker can be started on %s: %s", self._config.device, self.message)
            self._ready.set()
            return
        log.warning("the worker process %s; starting another", how)
        self._ready.clear()
        self._set("restarting", f"The worker process {how}.")
        pause = RESTART_PAUSE * self._failed_starts
        asyncio.get_running_loop().call_later(pause, self._restart)

    def _restart(self) -> None:
        if self.state == "restarting":
            self.start()
