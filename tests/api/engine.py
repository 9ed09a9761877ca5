"""An engine that runs jobs in a thread of the test's own process, with nodes that need no torch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Annotated

from PIL import Image

from executor.bare import BareResources
from executor.cache import Cache
from executor.engines import EngineStatus
from executor.events import JobEvent
from executor.files import Files
from executor.folders import Folders, OutputNames
from executor.run import JobRequest, Services, run_job
from nodes.sdk import (
    Catalogue,
    Context,
    InputFile,
    InputImage,
    ModelFile,
    NodeDefinition,
    NodeError,
    PackReport,
    PreviewFrame,
    Range,
    definition_of,
    node,
)


@node(title="Number", category="test")
def Number(value: Annotated[int, Range(0, 100)] = 1) -> int:
    """Gives a number."""
    return value


@node(title="Fail", category="test")
def Fail(value: int) -> int:
    """Fails."""
    raise NodeError("This never works.", input="value", hint="Remove the node.")


@node(title="Wait", category="test", pure=False)
def Wait(context: Context, steps: int = 100) -> int:
    """Takes a while, showing previews."""
    import time

    for step in range(steps):
        context.progress(step + 1, steps, PreviewFrame(b"jpeg", 8, 8))
        time.sleep(0.01)
    return steps


@node(title="Picture", category="test")
def Picture(
    image: Annotated[str, InputImage()],
    model: Annotated[str, ModelFile("checkpoints")],
    words: Annotated[str, InputFile((".txt",))] = "",
) -> int:
    """Names files."""
    return 1


@node(title="Save", category="test", output=True)
def Save(context: Context, value: int, prefix: str = "out") -> None:
    """Writes a picture of one pixel."""
    place = context.reserve_output(prefix, ".png")
    Image.new("RGB", (1, 1), "red").save(place.path)
    context.publish(place.file)


DEFINITIONS: dict[str, NodeDefinition] = {
    each.spec.id: each for each in map(definition_of, (Number, Fail, Wait, Picture, Save)) if each
}
CATALOGUE = Catalogue(tuple(each.spec for each in DEFINITIONS.values()))


class ThreadEngine:
    """The `Engine` protocol over `run_job` in a thread."""

    def __init__(self, folders: Folders, models_dir: Path) -> None:
        resources = BareResources()
        cache = Cache(1 << 20, folders.stamp)
        files = Files(resources.library, folders)
        self._services = Services(DEFINITIONS, CATALOGUE, files, cache, folders, OutputNames(folders), resources)
        self._cancelled: set[str] = set()
        self.catalogue: Catalogue | None = CATALOGUE
        self.packs: Sequence[PackReport] = (PackReport("test", ok=True),)
        self.slots = 1
        self.broken: str | None = None

    @property
    def status(self) -> EngineStatus:
        if self.broken is not None:
            return EngineStatus("failed", message=self.broken)
        return EngineStatus("ready" if self.catalogue else "starting", "cpu", "fp32")

    def watch(self, callback: Callable[[EngineStatus], None]) -> None:
        """Its status never changes."""

    async def start(self) -> None:
        """It is ready at once."""

    async def settled(self) -> None:
        """It always is."""

    async def submit(self, request: JobRequest) -> AsyncIterator[Sequence[JobEvent]]:
        loop = asyncio.get_running_loop()
        events: asyncio.Queue[JobEvent | None] = asyncio.Queue()

        def emit(event: JobEvent) -> None:
            loop.call_soon_threadsafe(events.put_nowait, event)

        def run() -> None:
            try:
                emit(run_job(request, self._services, emit, lambda: request.job_id in self._cancelled))
            finally:
                loop.call_soon_threadsafe(events.put_nowait, None)

        running = loop.run_in_executor(None, run)
        while (event := await events.get()) is not None:
            yield [event]
        await running

    async def cancel(self, job_id: str) -> None:
        self._cancelled.add(job_id)

    async def stop(self) -> None:
        """Nothing to stop."""
