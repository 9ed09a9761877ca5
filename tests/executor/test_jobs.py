"""The job service over a real worker: what was asked for is done, across cancels, crashes and restarts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from executor.engines.local import LocalEngine
from executor.files import Files
from executor.folders import Folders
from executor.formats import read_document
from executor.jobs import EngineNotReady, InvalidWorkflow, JobFinished, JobService, QueueFull, UnknownJob
from executor.queue import Job
from tests.executor.conftest import Nodes, chain, document, ended, n
from tests.executor.test_engine import config, kill


def make(data: Path, max_queued: int = 100) -> tuple[JobService, LocalEngine]:
    folders = Folders.below(data)
    engine = LocalEngine(config(data))
    return JobService(data / "jobs.sqlite3", engine, Files(None, folders), max_queued=max_queued), engine


async def ready(jobs: JobService) -> None:
    async with asyncio.timeout(20):
        while jobs.catalogue is None:
            await asyncio.sleep(0.01)


@pytest.fixture
async def jobs(tmp_path: Path) -> AsyncIterator[JobService]:
    service, _ = make(tmp_path / "data")
    await service.start()
    await ready(service)
    yield service
    await service.stop()


async def submit(jobs: JobService, nodes: Nodes) -> str:
    return (await jobs.submit(read_document(document(nodes, extra={"title": "Test"})))).job.id


SLOW: Nodes = {"1": n("Slow", steps=2_000), "2": n("End", value=["1", 0])}


async def test_a_job_is_done_and_its_story_is_told_in_order(jobs: JobService):
    with jobs.subscribe() as stream:
        job_id = await submit(jobs, {"1": n("Number", value=3), "2": n("Save", value=["1", 0])})
        told: list[tuple[str, int]] = []
        async with asyncio.timeout(20):
            async for stamped in stream:
                if stamped.job == job_id:
                    told.append((stamped.event.type, stamped.seq))
                    if stamped.event.type == "job_done":
                        break
    kinds = ["job_queued", "job_started", "node_started", "node_done", "node_started", "node_done", "job_done"]
    assert told == [(kind, number) for number, kind in enumerate(kinds, 1)]
    job = await jobs.get(job_id)
    assert (job.state, job.title, job.attempt) == ("done", "Test", 1)
    assert job.outputs["2"][0]["filename"] == "value_00001_.txt"
    assert (await jobs.document(job_id))["extra"] == {"title": "Test"}


async def test_an_invalid_workflow_is_refused_with_all_its_problems(jobs: JobService):
    with pytest.raises(InvalidWorkflow) as caught:
        await submit(jobs, {"1": n("Numbr"), "2": n("Add"), "3": n("End", value=["2", 0])})
    assert [each.code for each in caught.value.problems] == ["missing_input", "unknown_node"]
    assert await jobs.list() == []


async def test_jobs_run_one_after_the_other_and_a_waiting_one_can_be_cancelled(jobs: JobService):
    first, second, third = [await submit(jobs, SLOW), await submit(jobs, chain(1)), await submit(jobs, chain(2))]
    await asyncio.sleep(0.1)
    assert jobs.queue_state() == {"running": [first], "queued": [second, third]}
    assert jobs.position(third) == 1
    assert (await jobs.cancel(second)).state == "cancelled"
    assert (await jobs.cancel(first)).state == "running"
    assert (await ended(jobs, first)).state == "cancelled"
    assert (await ended(jobs, third)).state == "done"
    with pytest.raises(JobFinished):
        await jobs.cancel(first)
    with pytest.raises(UnknownJob):
        await jobs.cancel("nothing")


async def test_a_cancel_right_after_the_submission_is_not_lost(jobs: JobService):
    for _ in range(5):
        job_id = await submit(jobs, SLOW)
        await jobs.cancel(job_id)
        assert (await ended(jobs, job_id)).state == "cancelled"


async def test_a_job_whose_worker_dies_is_tried_once_more(jobs: JobService, tmp_path: Path):
    job_id = await submit(jobs, {"1": n("Crash", log=str(tmp_path / "log")), "2": n("End", value=["1", 0])})
    job = await ended(jobs, job_id)
    assert (job.state, job.attempt) == ("done", 2)


async def test_a_job_waits_in_the_queue_while_its_worker_is_being_started(tmp_path: Path):
    service, engine = make(tmp_path / "data")
    await service.start()
    await ready(service)
    job_id = await submit(service, SLOW)

    async def reach(state: str) -> Job:
        async with asyncio.timeout(20):
            while (job := await service.get(job_id)).state != state:
                await asyncio.sleep(0.01)
            return job

    await reach("running")
    kill(engine)
    assert (await reach("queued")).attempt == 1
    assert engine.status.state == "restarting"
    assert (await reach("running")).attempt == 2
    await service.stop()


async def test_a_job_that_kills_two_workers_fails_and_the_next_one_runs(jobs: JobService, tmp_path: Path):
    nodes = {"1": n("Crash", log=str(tmp_path / "log"), times=5), "2": n("End", value=["1", 0])}
    bad, good = await submit(jobs, nodes), await submit(jobs, chain(2))
    job = await ended(jobs, bad)
    assert (job.state, job.attempt) == ("failed", 2)
    assert job.error is not None
    assert job.error["code"] == "worker_died"
    assert "exit code 7" in job.error["message"]
    assert (await ended(jobs, good)).state == "done"


async def test_the_queue_goes_on_after_a_restart(tmp_path: Path):
    first, _ = make(tmp_path / "data")
    await first.start()
    await ready(first)
    done = await submit(first, chain(1))
    await ended(first, done)
    running, waiting = (
        await submit(first, {"1": n("Slow", steps=60), "2": n("End", value=["1", 0])}),
        await submit(first, chain(2)),
    )
    await asyncio.sleep(0.2)
    await first.stop()

    second, _ = make(tmp_path / "data")
    await second.start()
    assert (await second.get(done)).state == "done"
    assert [(await ended(second, each)).state for each in (running, waiting)] == ["done", "done"]
    assert (await second.get(running)).attempt == 1
    await second.stop()


async def test_a_job_whose_cancel_was_cut_short_is_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    first, engine = make(tmp_path / "data")
    await first.start()
    await ready(first)
    job_id = await submit(first, SLOW)
    await asyncio.sleep(0.2)

    async def deaf(_: str) -> None:
        """A node that does not look whether it was cancelled."""

    monkeypatch.setattr(engine, "cancel", deaf)
    assert (await first.cancel(job_id)).state == "running"
    await first.stop()

    second, _ = make(tmp_path / "data")
    await second.start()
    assert (await second.get(job_id)).state == "cancelled"
    await second.stop()


async def test_nothing_is_taken_before_the_nodes_are_known(tmp_path: Path):
    service, _ = make(tmp_path / "data")
    await service.start()
    with pytest.raises(EngineNotReady):
        await submit(service, chain(1))
    await service.stop()


async def test_a_full_queue_is_refused(tmp_path: Path):
    service, _ = make(tmp_path / "data", max_queued=1)
    await service.start()
    await ready(service)
    await submit(service, SLOW)
    await asyncio.sleep(0.1)
    await submit(service, chain(1))
    with pytest.raises(QueueFull):
        await submit(service, chain(1))
    await service.stop()
