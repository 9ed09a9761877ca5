"""The process that runs nodes: imports the packs, tells its catalogue, then runs one job at a time.

Started by an engine as `python -m executor.worker`; it talks over its standard streams and ends when they close.
"""

from __future__ import annotations

import faulthandler
import gc
import importlib
import logging
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from typing import NoReturn, cast

from executor.batches import EventBatches
from executor.cache import Cache, Tier
from executor.channel import Channel, ChannelClosed, standard_streams
from executor.codec import Codec
from executor.context import ResourceFactory
from executor.events import JobError, JobEvent, JobFailed
from executor.files import Files
from executor.folders import OutputNames
from executor.messages import Broken, CancelJob, Command, DeviceKnown, Events, Ready, RunJob, Stop, WorkerConfig
from executor.run import JobRequest, Services, in_words, run_job
from executor.settings import named
from executor.store import DiskStore
from nodes.sdk.packs import Packs, load_packs

log = logging.getLogger("latentgraph.worker")


class Worker:
    """One worker: its packs, its cache, its resources, and the jobs it was told of."""

    def __init__(self, config: WorkerConfig, packs: Packs, channel: Channel) -> None:
        self._channel = channel
        self._jobs: queue.SimpleQueue[JobRequest] = queue.SimpleQueue()
        self._cancelled: set[str] = set()
        factory = cast("ResourceFactory", named(config.resources))
        self._resources = factory(
            config.models_dir,
            device=config.device,
            precision=config.precision,
            vram_budget=config.vram_budget,
            ram_budget=config.ram_budget,
            compile=config.compile,
        )
        cache = Cache(config.cache_memory, config.folders.stamp, _disk_tier(config))
        self._services = Services(
            packs.nodes,
            packs.catalogue,
            Files(self._resources.library, config.folders),
            cache,
            config.folders,
            OutputNames(config.folders),
            self._resources,
        )
        self._warm_up = config.warm_up

    def serve(self) -> NoReturn:
        """Run jobs until told to stop or the engine is gone, which ends the process."""
        threading.Thread(target=self._listen, name="commands", daemon=True).start()
        threading.Thread(target=self._warm, name="warm-up", daemon=True).start()
        while True:
            self._run(self._jobs.get())

    def _run(self, request: JobRequest) -> None:
        def send(batch: Sequence[JobEvent]) -> None:
            self._channel.send(Events(request.job_id, tuple(batch)))

        batches = EventBatches(send)
        try:
            end: JobEvent = run_job(request, self._services, batches.emit, lambda: request.job_id in self._cancelled)
        except Exception as error:
            told = in_words(error)
            if told is None:
                log.exception("job %s met an error of the executor", request.job_id)
                message = f"The executor failed: {type(error).__name__}: {error}"
                told = JobError("internal_error", message, detail=traceback.format_exc())
            end = JobFailed(told, {})
        batches.emit(end)
        batches.close()
        self._cancelled.discard(request.job_id)

    def _listen(self) -> None:
        while True:
            try:
                command = cast("Command", self._channel.receive())
            except ChannelClosed:
                os._exit(0)
            match command:
                case RunJob(request):
                    self._jobs.put(request)
                case CancelJob(job_id):
                    self._cancelled.add(job_id)
                case Stop():  # what is half done will be done again; files are written whole or not at all
                    sys.stderr.flush()
                    os._exit(0)
                case WorkerConfig():
                    log.error("a worker is configured once, at its start")

    def _warm(self) -> None:
        """Import what the first job will need, and find out the device meanwhile."""
        try:
            for module in self._warm_up:
                importlib.import_module(module)
            gc.collect()
            gc.freeze()  # what was imported stays; walking it again and again would slow every large graph
            self._channel.send(DeviceKnown(self._resources.device_class))
        except ChannelClosed:
            return
        except Exception as error:
            told = in_words(error)
            if told is None:
                log.exception("warming up failed; the first job will meet the same error and report it")
            else:
                log.error("%s", told.message)


def _disk_tier(config: WorkerConfig) -> Tier | None:
    if config.cache_disk <= 0:
        return None
    return DiskStore(config.folders.cache / "results", config.cache_disk, Codec(config.value_modules))


def main() -> None:
    """Entry point of the process."""
    channel = standard_streams()
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        config = cast("WorkerConfig", channel.receive())
        logging.basicConfig(
            level=config.log_level.upper(), stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s"
        )
        try:
            config.folders.create()
            packs = load_packs(config.custom_nodes_dir, built_in=config.built_in)
            worker = Worker(config, packs, channel)
        except Exception as error:
            channel.send(Broken(f"{type(error).__name__}: {error}"))  # the traceback goes to the terminal
            raise
        channel.send(Ready(packs.catalogue.to_json(), packs.reports))
        worker.serve()
    except ChannelClosed:
        os._exit(0)


if __name__ == "__main__":
    main()
