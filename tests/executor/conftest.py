"""What the executor's tests share: the test pack, services in this process, and short ways to write graphs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from executor.bare import BareResources
from executor.cache import Cache
from executor.check import Checked, check
from executor.events import JobEnd, JobEvent
from executor.files import Files
from executor.folders import Folders, OutputNames
from executor.formats import read_document
from executor.graph import parse
from executor.jobs import JobService
from executor.queue import Job
from executor.run import JobRequest, Services, run_job
from nodes.sdk.packs import Packs, load_packs

# A busy machine must not fail a test by its slowness alone.
settings.register_profile("steady", deadline=None)
settings.load_profile("steady")

CUSTOM_NODES = Path(__file__).parent / "custom_nodes"
Nodes = dict[str, Any]


def n(class_type: str, **inputs: Any) -> dict[str, Any]:
    """A node of a document."""
    return {"class_type": class_type, "inputs": inputs}


def document(nodes: Nodes, **parts: Any) -> dict[str, Any]:
    return {"format": "latentgraph/1", "nodes": nodes, **parts}


def text(nodes: Nodes) -> str:
    return json.dumps(document(nodes))


def chain(length: int, start: int = 0) -> Nodes:
    """Number → Add → … → End."""
    nodes: Nodes = {"start": n("Number", value=start)}
    before = "start"
    for index in range(length):
        nodes[f"n{index}"] = n("Add", a=[before, 0])
        before = f"n{index}"
    nodes["end"] = n("End", value=[before, 0])
    return nodes


class FakeFiles:
    """A file catalogue written down in the test."""

    def __init__(self, files: Mapping[str, Mapping[str, str]] | None = None) -> None:
        self.files = dict(files or {})

    def has(self, kind: str, name: str) -> bool:
        return name in self.files.get(kind, {})

    def names(self, kind: str) -> list[str]:
        return list(self.files.get(kind, {}))

    def content_id(self, kind: str, name: str) -> str:
        return self.files[kind][name]


@pytest.fixture(scope="session")
def packs() -> Packs:
    return load_packs(CUSTOM_NODES, built_in=False)


@pytest.fixture
def checked(packs: Packs) -> Callable[..., Checked]:
    """Checks the nodes of a native document."""

    def run(nodes: Nodes, files: FakeFiles | None = None, targets: list[str] | None = None) -> Checked:
        graph, problems = parse(read_document(document(nodes)))
        found = check(graph, packs.catalogue, files or FakeFiles(), targets)
        return found._replace(problems=problems + found.problems)

    return run


@dataclass
class Bench:
    """A worker's services in this process, and the events of the last job."""

    services: Services
    events: list[JobEvent] = field(default_factory=list[JobEvent])
    cancel_after: int | None = None

    def run(self, nodes: Nodes, job_id: str = "job", targets: tuple[str, ...] | None = None) -> JobEnd:
        self.events.clear()
        request = JobRequest(job_id, text(nodes), targets=targets)
        return run_job(request, self.services, self.events.append, self._cancelled)

    def _cancelled(self) -> bool:
        return self.cancel_after is not None and len(self.events) >= self.cancel_after

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def bench(packs: Packs, tmp_path: Path) -> Bench:
    return make_bench(packs, tmp_path / "data")


def make_bench(packs: Packs, data: Path, cache: Cache | None = None, folders: Folders | None = None) -> Bench:
    folders = folders or Folders.below(data)
    folders.create()
    return Bench(
        Services(
            packs.nodes,
            packs.catalogue,
            Files(None, folders),
            Cache(1 << 24, folders.stamp) if cache is None else cache,
            folders,
            OutputNames(folders),
            BareResources(),
        )
    )


async def ended(jobs: JobService, job_id: str, seconds: float = 30) -> Job:
    """A job, once it has ended."""
    async with asyncio.timeout(seconds):
        while not (job := await jobs.get(job_id)).finished:
            await asyncio.sleep(0.005)
        return job
