"""What was acknowledged is still there after the process ends, and nothing is tried without end."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from executor.events import JobError
from executor.ids import JobIds
from executor.queue import MIGRATIONS, JobQueue, NewerDatabase
from nodes.sdk.context import OutputFile


@pytest.fixture
async def queue(tmp_path: Path) -> AsyncIterator[JobQueue]:
    queue = JobQueue(tmp_path / "data" / "jobs.sqlite3")
    await queue.open()
    yield queue
    await queue.close()


async def reopened(queue: JobQueue) -> JobQueue:
    """The same file as another process would find it after the first one was killed."""
    again = JobQueue(queue._path)  # pyright: ignore[reportPrivateUsage]
    await again.open()
    return again


def test_ids_are_unique_and_sort_by_the_time_they_were_made():
    ids = JobIds()
    made = [ids.new() for _ in range(2_000)]
    assert made == sorted(set(made))
    assert {len(each) for each in made} == {26}


async def test_a_job_goes_from_queued_to_done_with_its_results(queue: JobQueue):
    await queue.add("a", '{"x": 1}', "Boat", ["3"])
    assert await queue.queued() == ["a"]
    assert await queue.begin("a") == ('{"x": 1}', ("3",), 1)
    file = OutputFile("output", "", "a.png", width=8, height=8)
    await queue.finish("a", "done", {"3": [file], "4": []})
    job = await queue.get("a")
    assert job is not None
    assert (job.state, job.title, job.attempt, job.finished) == ("done", "Boat", 1, True)
    assert job.outputs == {"3": [file.to_json()]}
    assert job.started_at is not None
    assert job.finished_at is not None
    assert await queue.document("a") == '{"x": 1}'


async def test_a_failure_keeps_its_error(queue: JobQueue):
    await queue.add("a", "{}", None, None)
    await queue.finish("a", "failed", {}, JobError("bad", "It is bad.", "1", "Number"))
    job = await queue.get("a")
    assert job is not None
    assert job.error == JobError("bad", "It is bad.", "1", "Number").to_json()


async def test_what_was_acknowledged_survives_a_kill(queue: JobQueue):
    for name in "abc":
        await queue.add(name, "{}", None, None)
    await queue.begin("a")
    again = await reopened(queue)
    assert await again.queued() == ["a", "b", "c"]
    assert (await again.begin("a"))[2] == 2
    await again.close()


async def test_a_job_that_was_running_at_two_ends_is_given_up(queue: JobQueue):
    await queue.add("a", "{}", None, None)
    for _ in range(2):
        await queue.begin("a")
        again = await reopened(queue)
        await again.close()
    job = await queue.get("a")
    assert job is not None
    assert (job.state, job.error and job.error["code"]) == ("failed", "interrupted")


async def test_a_clean_stop_does_not_count_as_an_attempt(queue: JobQueue):
    await queue.add("a", "{}", None, None)
    for _ in range(3):
        assert (await queue.begin("a"))[2] == 1
        await queue.release("a")
    assert await queue.queued() == ["a"]


async def test_a_job_that_is_being_cancelled_never_goes_back_into_the_queue(queue: JobQueue):
    for name in "abc":
        await queue.add(name, "{}", None, None)
    for name in "ab":
        await queue.begin(name)
        await queue.ask_cancel(name)
    await queue.ask_cancel("c")
    await queue.release("a")
    again = await reopened(queue)
    assert await again.queued() == []
    jobs = await again.list(None, 9, None)
    assert [(job.state, job.finished_at is not None) for job in jobs] == [("cancelled", True)] * 3
    await again.close()


async def test_a_job_that_ended_before_its_cancel_stays_as_it_ended(queue: JobQueue):
    await queue.add("a", "{}", None, None)
    await queue.begin("a")
    await queue.finish("a", "done", {})
    await queue.ask_cancel("a")
    await queue.release("a")
    again = await reopened(queue)
    assert [job.state for job in await again.list(None, 9, None)] == ["done"]
    await again.close()


async def test_a_database_of_an_older_version_is_brought_up_to_date(tmp_path: Path):
    path = tmp_path / "jobs.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.executescript(f"{MIGRATIONS[0]} PRAGMA user_version = 1;")
        connection.execute("INSERT INTO jobs (id, state, created_at) VALUES ('a', 'queued', 0)")
    queue = JobQueue(path)
    await queue.open()
    assert await queue.queued() == ["a"]
    await queue.ask_cancel("a")
    await queue.close()


async def test_listing_goes_back_page_by_page(queue: JobQueue):
    for name in "abcdef":
        await queue.add(name, "{}", None, None)
    await queue.finish("b", "done", {})
    assert [job.id for job in await queue.list(None, 4, None)] == ["f", "e", "d", "c"]
    assert [job.id for job in await queue.list(None, 4, "c")] == ["b", "a"]
    assert [job.id for job in await queue.list("done", 4, None)] == ["b"]
    assert await queue.get("zzz") is None
    assert await queue.document("zzz") is None


async def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path):
    path = tmp_path / "jobs.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    queue = JobQueue(path)
    with pytest.raises(NewerDatabase, match="newer version"):
        await queue.open()
    await queue.close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
