"""Numbers the events of each job and hands them to everyone who listens; keeps them for those who come back."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from executor.events import Event, NodePreview, supersedes

JOBS_KEPT = 64
EVENTS_KEPT = 50_000
BACKLOG = 100_000


class SlowSubscriber(Exception):
    """A listener fell so far behind that it was let go; it can come back and ask for what it missed."""


@dataclass(frozen=True, slots=True)
class StampedEvent:
    """An event with its place: the job (None for the service's own), its number in that job, and Unix time.

    Previews have number 0: they are not kept.
    """

    event: Event
    job: str | None
    seq: int
    time: float

    def to_json(self) -> dict[str, Any]:
        return {**self.event.to_json(), "job": self.job, "seq": self.seq, "time": self.time}


@dataclass(slots=True)
class _History:
    next: int
    events: deque[StampedEvent]


class Subscription:
    """A listener's place in the stream, used as a context manager and an async iterator.

    Only the newest preview of each job waits for a listener that is busy.
    """

    def __init__(self, leave: Callable[[Subscription], None], backlog: int) -> None:
        self._leave = leave
        self._backlog = backlog
        self._waiting: deque[StampedEvent] = deque()
        self._previews: dict[str | None, StampedEvent] = {}
        self._filled = asyncio.Event()
        self._overrun = False

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *_: object) -> None:
        self._leave(self)

    def put(self, events: Sequence[StampedEvent]) -> None:
        """Add events; never waits."""
        for each in events:
            if type(each.event) is NodePreview:
                self._previews[each.job] = each
            else:
                self._waiting.append(each)
        if len(self._waiting) > self._backlog:
            self._overrun = True
            self._waiting.clear()
            self._previews.clear()
            self._leave(self)
        self._filled.set()

    async def __aiter__(self) -> AsyncIterator[StampedEvent]:
        """The events as they come. Raises `SlowSubscriber` when too many wait."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            while self._waiting or self._previews:
                if self._waiting:
                    yield self._waiting.popleft()
                else:
                    yield self._previews.pop(next(iter(self._previews)))
            if self._overrun:
                raise SlowSubscriber("too many events wait; reconnect and ask for what was missed")


class EventHub:
    """The stream of events. Not for use from several threads."""

    def __init__(self, jobs_kept: int = JOBS_KEPT, events_kept: int = EVENTS_KEPT, backlog: int = BACKLOG) -> None:
        self._jobs_kept = jobs_kept
        self._events_kept = events_kept
        self._backlog = backlog
        self._histories: OrderedDict[str, _History] = OrderedDict()
        self._subscriptions: set[Subscription] = set()

    def subscribe(self) -> Subscription:
        """A listener that hears everything from now on."""
        subscription = Subscription(self._subscriptions.discard, self._backlog)
        self._subscriptions.add(subscription)
        return subscription

    def publish(self, job: str | None, events: Sequence[Event]) -> None:
        """Number events of a job (or of the service, when None), keep them, and hand them out."""
        now = round(time.time(), 3)
        if job is None:
            stamped = [StampedEvent(event, None, 0, now) for event in events]
        else:
            history = self._history(job)
            stamped: list[StampedEvent] = []
            for event in events:
                if type(event) is NodePreview:
                    stamped.append(StampedEvent(event, job, 0, now))
                    continue
                kept = history.events
                each = StampedEvent(event, job, history.next, now)
                history.next += 1
                if kept and supersedes(event, kept[-1].event):
                    kept.pop()
                kept.append(each)
                stamped.append(each)
        for subscription in tuple(self._subscriptions):
            subscription.put(stamped)

    def replay(self, job: str, since: int) -> list[StampedEvent]:
        """The kept events of a job with numbers above `since`, in order.

        Of successive progress reports of a node only the last is kept, and of a long job the oldest events are
        gone, so numbers may be missing.
        """
        history = self._histories.get(job)
        return [] if history is None else [each for each in history.events if each.seq > since]

    def _history(self, job: str) -> _History:
        history = self._histories.get(job)
        if history is None:
            history = self._histories[job] = _History(1, deque(maxlen=self._events_kept))
            while len(self._histories) > self._jobs_kept:
                self._histories.popitem(last=False)
        else:
            self._histories.move_to_end(job)
        return history
