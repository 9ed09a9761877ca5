"""Events leave in order and in few messages; previews never pile up."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from executor.batches import EventBatches
from executor.events import JobCancelled, JobEvent, NodeDone, NodePreview, NodeProgress, NodeStarted


class Sink:
    def __init__(self) -> None:
        self.batches: list[list[JobEvent]] = []

    def __call__(self, batch: Sequence[JobEvent]) -> None:
        self.batches.append(list(batch))

    @property
    def events(self) -> list[JobEvent]:
        return [event for batch in self.batches for event in batch]


def test_everything_arrives_in_order_and_in_few_batches():
    sink = Sink()
    batches = EventBatches(sink)
    sent: list[JobEvent] = []
    for index in range(5_000):
        sent += [NodeStarted(str(index)), NodeDone(str(index), 0.0)]
        batches.emit(sent[-2])
        batches.emit(sent[-1])
    batches.close()
    assert sink.events == sent
    assert len(sink.batches) < 100


def test_an_event_does_not_wait_long():
    sink = Sink()
    batches = EventBatches(sink)
    batches.emit(NodeStarted("1"))
    deadline = time.monotonic() + 2
    while not sink.batches and time.monotonic() < deadline:
        time.sleep(0.001)
    assert sink.events == [NodeStarted("1")]
    batches.close()


def test_of_many_progress_reports_the_last_is_sent():
    sink = Sink()
    batches = EventBatches(sink)
    for done in range(1, 1001):
        batches.emit(NodeProgress("1", done, 1000))
    batches.close()
    assert len(sink.events) < 50
    assert sink.events[-1] == NodeProgress("1", 1000, 1000)


def test_previews_are_rate_limited_and_the_newest_wins():
    sink = Sink()
    batches = EventBatches(sink)
    for number in range(30):
        batches.emit(NodePreview("1", number, 30, 8, 8, b""))
        time.sleep(0.01)
    batches.close()
    previews = [event for event in sink.events if isinstance(event, NodePreview)]
    assert 2 <= len(previews) <= 6
    assert previews[-1].done == 29


@pytest.mark.parametrize("end", [NodeDone("1", 0.1), JobCancelled()])
def test_a_preview_never_comes_after_the_end(end: JobEvent):
    sink = Sink()
    batches = EventBatches(sink)
    batches.emit(NodePreview("1", 1, 2, 8, 8, b""))
    batches.emit(end)
    batches.close()
    assert sink.events[-1] == end
