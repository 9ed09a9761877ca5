"""Events are numbered for each job, kept for those who come back, and never wait for a slow listener."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from executor.events import Event, JobDone, NodeDone, NodePreview, NodeProgress, NodeStarted, QueueChanged
from executor.hub import EventHub, SlowSubscriber, StampedEvent


def preview(number: int) -> NodePreview:
    return NodePreview("1", number, 9, 8, 8, b"jpeg")


async def take(hub: EventHub, count: int, publish: Sequence[tuple[str | None, Sequence[Event]]]) -> list[StampedEvent]:
    with hub.subscribe() as subscription:
        for job, events in publish:
            hub.publish(job, events)
        found: list[StampedEvent] = []
        async for event in subscription:
            found.append(event)
            if len(found) == count:
                break
        return found


async def test_each_job_has_its_own_numbers_and_the_service_has_none():
    one, other = [NodeStarted("1"), NodeDone("1", 0.1)], [NodeStarted("1")]
    found = await take(EventHub(), 4, [("a", one), ("b", other), (None, [QueueChanged((), ())])])
    assert [(each.job, each.seq) for each in found] == [("a", 1), ("a", 2), ("b", 1), (None, 0)]
    assert found[0].to_json() == {"type": "node_started", "node": "1", "job": "a", "seq": 1, "time": found[0].time}


async def test_a_client_that_comes_back_gets_what_it_missed():
    hub = EventHub()
    hub.publish("a", [NodeStarted("1"), NodeDone("1", 0.1), JobDone(0.2, {})])
    assert [each.seq for each in hub.replay("a", 0)] == [1, 2, 3]
    assert [each.event.type for each in hub.replay("a", 2)] == ["job_done"]
    assert hub.replay("unknown", 0) == []


async def test_of_progress_only_the_last_is_kept_and_previews_not_at_all():
    hub = EventHub()
    hub.publish(
        "a", [NodeStarted("1"), *(NodeProgress("1", done, 9) for done in range(9)), preview(1), NodeDone("1", 1)]
    )
    assert [(each.seq, each.event.type) for each in hub.replay("a", 0)] == [
        (1, "node_started"),
        (10, "node_progress"),
        (11, "node_done"),
    ]


async def test_history_is_bounded_in_jobs_and_events():
    hub = EventHub(jobs_kept=2, events_kept=3)
    for job in "abc":
        hub.publish(job, [NodeStarted(str(index)) for index in range(5)])
    assert hub.replay("a", 0) == []
    assert [each.seq for each in hub.replay("c", 0)] == [3, 4, 5]


async def test_only_the_newest_preview_waits_for_a_busy_listener():
    found = await take(EventHub(), 2, [("a", [preview(1), preview(2), NodeStarted("1"), preview(3)])])
    assert [each.event for each in found] == [NodeStarted("1"), preview(3)]


async def test_a_listener_that_falls_behind_is_let_go_without_holding_up_others():
    hub = EventHub(backlog=10)
    with hub.subscribe() as slow:
        hub.publish("a", [NodeStarted(str(index)) for index in range(11)])
        with pytest.raises(SlowSubscriber):
            async for _ in slow:
                pass
        assert len(await take(hub, 1, [("a", [NodeStarted("x")])])) == 1


async def test_events_wake_a_listener_that_waits():
    hub = EventHub()
    with hub.subscribe() as subscription:
        waiting = asyncio.ensure_future(anext(aiter(subscription)))
        await asyncio.sleep(0)
        hub.publish("a", [NodeStarted("1")])
        assert (await asyncio.wait_for(waiting, 1)).event == NodeStarted("1")
