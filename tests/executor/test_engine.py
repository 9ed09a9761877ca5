"""A real worker process: its catalogue, its events, its crashes and its end."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from executor.engines import EngineFailed, WorkerDied, process
from executor.engines.local import LocalEngine
from executor.engines.process import how_it_ended
from executor.events import JobCancelled, JobDone, JobEvent, JobFailed, NodePreview, NodeStarted
from executor.messages import WorkerConfig
from executor.run import JobRequest
from executor.settings import Settings
from tests.executor.conftest import CUSTOM_NODES, Nodes, chain, n, text


def config(data: Path) -> WorkerConfig:
    settings = Settings(
        data, data / "models", CUSTOM_NODES, cache_disk=1 << 20, resources="executor.bare:create", warm_up=()
    )
    return replace(settings.worker_config(), built_in=False)


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[LocalEngine]:
    engine = LocalEngine(config(tmp_path / "data"))
    await engine.start()
    yield engine
    await engine.stop()


def kill(engine: LocalEngine) -> None:
    """Kill the workers, as a crash would."""
    for slot in engine._slots:  # pyright: ignore[reportPrivateUsage]
        assert slot._process is not None  # pyright: ignore[reportPrivateUsage]
        slot._process.kill()  # pyright: ignore[reportPrivateUsage]


async def run(engine: LocalEngine, nodes: Nodes, job_id: str = "job") -> list[JobEvent]:
    events: list[JobEvent] = []
    async with asyncio.timeout(30):
        async for batch in engine.submit(JobRequest(job_id, text(nodes))):
            events.extend(batch)
    return events


async def test_the_catalogue_and_the_reports_come_from_the_worker(engine: LocalEngine):
    assert engine.catalogue is not None
    assert "Number" in engine.catalogue
    assert [(pack.name, pack.ok) for pack in engine.packs] == [("testpack", True)]
    assert engine.status.state == "ready"


async def test_a_job_runs_and_its_second_run_is_cached(engine: LocalEngine):
    assert isinstance((await run(engine, chain(300)))[-1], JobDone)
    again = await run(engine, chain(300))
    assert isinstance(again[-1], JobDone)
    assert not any(isinstance(event, NodeStarted) for event in again)


async def test_a_cancel_takes_effect_within_one_step(engine: LocalEngine):
    began = time.monotonic()
    last: JobEvent | None = None
    async for batch in engine.submit(
        JobRequest("job", text({"1": n("Slow", steps=2_000), "2": n("End", value=["1", 0])}))
    ):
        if last is None:
            await engine.cancel("job")
        last = batch[-1]
    assert isinstance(last, JobCancelled)
    assert time.monotonic() - began < 5


async def test_previews_come_through_limited_in_rate(engine: LocalEngine):
    events = await run(engine, {"1": n("Slow", steps=50), "2": n("End", value=["1", 0])})
    previews = [event for event in events if isinstance(event, NodePreview)]
    assert 1 <= len(previews) <= 20
    assert previews[0].jpeg == b"jpeg"


async def test_a_print_in_a_node_does_not_disturb_the_messages(engine: LocalEngine):
    assert isinstance(
        (await run(engine, {"1": n("Chatty", text="x" * 100_000), "2": n("End", value=["1", 0])}))[-1], JobDone
    )


async def test_a_worker_that_dies_says_how_and_is_replaced(engine: LocalEngine, tmp_path: Path):
    nodes = {"1": n("Crash", log=str(tmp_path / "log")), "2": n("End", value=["1", 0])}
    states: list[str] = []
    engine.watch(lambda status: states.append(status.state))
    with pytest.raises(WorkerDied, match="exit code 7"):
        await run(engine, nodes)
    assert isinstance((await run(engine, nodes))[-1], JobDone)
    assert states[states.index("restarting") :][:2] == ["restarting", "ready"]


async def test_a_killed_worker_is_taken_for_out_of_memory(engine: LocalEngine):
    running = asyncio.ensure_future(run(engine, {"1": n("Slow", steps=2_000), "2": n("End", value=["1", 0])}))
    await asyncio.sleep(0.3)
    kill(engine)
    with pytest.raises(WorkerDied, match="ran out of memory"):
        await running


async def test_results_on_disk_are_found_by_the_next_worker(tmp_path: Path):
    nodes = {"1": n("Slow", steps=20), "2": n("Save", value=["1", 0])}
    for expected in (True, False):
        engine = LocalEngine(config(tmp_path / "data"))
        await engine.start()
        events = await run(engine, nodes)
        await engine.stop()
        assert isinstance(events[-1], JobDone)
        assert any(isinstance(event, NodeStarted) for event in events) is expected


async def test_an_engine_whose_worker_cannot_start_fails_with_the_reason(tmp_path: Path):
    engine = LocalEngine(replace(config(tmp_path / "data"), resources="no.such.module:create"))
    with pytest.raises(EngineFailed, match=r"no\.such|No module named 'no'"):
        await asyncio.wait_for(engine.start(), 20)
    assert engine.status.state == "failed"
    await engine.stop()


PICKY = "tests.executor.picky_resources:create"


async def test_jobs_run_on_the_slots_whose_workers_start(tmp_path: Path):
    engine = LocalEngine(replace(config(tmp_path / "data"), resources=PICKY, device="cuda:1,cpu"))
    await asyncio.wait_for(engine.start(), 30)
    assert engine.status.state == "ready"
    for number in range(3):
        assert isinstance((await run(engine, chain(3), f"job {number}"))[-1], JobDone)
    together = await asyncio.gather(*(run(engine, chain(3), f"at once {number}") for number in range(3)))
    assert all(isinstance(events[-1], JobDone) for events in together)
    await engine.stop()


async def test_every_job_is_told_when_no_slot_can_have_a_worker(tmp_path: Path):
    engine = LocalEngine(replace(config(tmp_path / "data"), resources=PICKY, device="cuda:1,cuda:2"))
    with pytest.raises(EngineFailed, match="picky"):
        await asyncio.wait_for(engine.start(), 30)
    ends = await asyncio.gather(
        *(run(engine, chain(1), f"job {number}") for number in range(3)), return_exceptions=True
    )
    assert [type(end) for end in ends] == [EngineFailed] * 3
    await engine.stop()


async def test_a_job_that_waits_for_a_worker_can_be_cancelled(engine: LocalEngine):
    first = asyncio.ensure_future(run(engine, {"1": n("Slow", steps=2_000), "2": n("End", value=["1", 0])}, "first"))
    second = asyncio.ensure_future(run(engine, chain(1), "second"))
    await asyncio.sleep(0.3)
    await engine.cancel("second")
    await engine.cancel("first")
    assert [isinstance((await each)[-1], JobCancelled) for each in (first, second)] == [True, True]


async def test_a_device_that_cannot_be_used_fails_the_job_in_words(tmp_path: Path):
    resources = "diffusion.worker_resources:create"
    engine = LocalEngine(replace(config(tmp_path / "data"), resources=resources, device="cuda:77"))
    await engine.start()
    end = (await run(engine, chain(3)))[-1]
    assert isinstance(end, JobFailed)
    assert end.error.code == "bad_device"
    assert end.error.message.startswith("There is no device 'cuda:77'")
    assert "Use --device cpu" in end.error.message
    await engine.stop()


async def test_a_broken_pack_is_reported_and_the_others_work(tmp_path: Path):
    packs = tmp_path / "packs"
    packs.mkdir()
    (packs / "broken.py").write_text("import no_such_module")
    (packs / "testpack.py").write_text((CUSTOM_NODES / "testpack.py").read_text())
    engine = LocalEngine(replace(config(tmp_path / "data"), custom_nodes_dir=packs))
    await engine.start()
    assert {pack.name: pack.ok for pack in engine.packs} == {"broken": False, "testpack": True}
    assert isinstance((await run(engine, chain(3)))[-1], JobDone)
    await engine.stop()


@pytest.mark.skipif(os.name == "nt", reason="asks the process table of POSIX systems")
async def test_the_worker_ends_with_the_process_that_started_it(tmp_path: Path):
    code = (
        "import asyncio, os, sys; from pathlib import Path; from executor.engines.local import LocalEngine;"
        "from tests.executor.test_engine import config\n"
        "async def main():\n"
        f"    engine = LocalEngine(config(Path({str(tmp_path)!r})))\n"
        "    await engine.start()\n"
        "    print(engine._slots[0]._process._process.pid, flush=True)\n"
        "    os._exit(1)\n"
        "asyncio.run(main())"
    )
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    shown, _ = await parent.communicate()
    pid = int(shown)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        await asyncio.sleep(0.05)
    pytest.fail("the worker goes on without its parent")


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (b"\xff" * 8, "a message of"),
        (b"\0\0\0\0\0\0\0\x04abcd", "UnpicklingError"),
        (b"\0\0\0\0\0\0\0\x12cno_such_module\nX\n", "No module named 'no_such_module'"),
    ],
)
async def test_a_worker_whose_replies_cannot_be_read_is_killed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, written: bytes, told: str
):
    code = f"import os, time; os.write(1, {written!r}); time.sleep(60)"
    how = await ending(monkeypatch, tmp_path, code)
    assert told in how
    assert how.endswith("and was killed")


async def test_a_worker_that_closes_its_streams_and_goes_on_is_killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(process, "STOP_SECONDS", 0.2)
    assert "went on without them" in await ending(monkeypatch, tmp_path, "import os, time; os.close(1); time.sleep(60)")


async def ending(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str) -> str:
    """How a worker that runs this code is said to have ended."""

    def spawn() -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        return subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, bufsize=0)

    monkeypatch.setattr(process, "_spawn", spawn)
    told: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    process.WorkerProcess(config(tmp_path), lambda _: None, told.set_result)
    return await asyncio.wait_for(told, 10)


def test_how_a_process_ended_is_told_in_words():
    assert "exit code 3" in how_it_ended(3)
    assert "0xc0000005" in how_it_ended(0xC0000005)
    assert "ran out of memory" in how_it_ended(-9)
    assert "SIGSEGV" in how_it_ended(-11)
    assert "SIGTERM" in how_it_ended(-15)


async def test_a_failing_node_does_not_take_the_worker_with_it(engine: LocalEngine):
    failed = await run(engine, {"1": n("Boom", a=1), "2": n("End", value=["1", 0])})
    assert isinstance(failed[-1], JobFailed)
    assert isinstance((await run(engine, chain(3)))[-1], JobDone)
    assert engine.status.state == "ready"
