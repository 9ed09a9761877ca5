"""Gathers a job's events, so that a thousand quick nodes cost a few messages and previews never pile up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from executor.events import JobCancelled, JobDone, JobEvent, JobFailed, NodeDone, NodeFailed, NodePreview, supersedes

INTERVAL = 0.02
PREVIEW_INTERVAL = 0.1
ENDS = (NodeDone, NodeFailed, JobDone, JobFailed, JobCancelled)


class EventBatches:
    """Sends what was emitted at most `INTERVAL` seconds later, in order, from a thread of its own.

    Of a node's progress reports within one batch only the last is sent; of its previews at most ten a second, the
    newest each time.

    Args:
        send: takes a batch; called from one thread at a time.
    """

    def __init__(self, send: Callable[[Sequence[JobEvent]], None]) -> None:
        self._send = send
        self._pending: list[JobEvent] = []
        self._preview: NodePreview | None = None
        self._preview_sent = 0.0
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._filled = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._pump, name="events", daemon=True)
        self._thread.start()

    def emit(self, event: JobEvent) -> None:
        """Take an event; returns at once."""
        with self._lock:
            if type(event) is NodePreview:
                self._preview = event
            else:
                pending = self._pending
                if type(event) in ENDS:
                    self._preview = None
                if pending and supersedes(event, pending[-1]):
                    pending.pop()
                pending.append(event)
        if not self._filled.is_set():
            self._filled.set()

    def flush(self) -> None:
        """Send everything now, and return when it is sent."""
        self._send_pending(final=True)

    def close(self) -> None:
        """Send what is left and stop the thread."""
        self._closed = True
        self._filled.set()
        self._thread.join()
        self.flush()

    def _pump(self) -> None:
        while not self._closed:
            self._filled.wait()
            time.sleep(INTERVAL)
            self._filled.clear()
            self._send_pending(final=False)
            with self._lock:
                if self._preview is not None:
                    self._filled.set()

    def _send_pending(self, *, final: bool) -> None:
        with self._sending:
            with self._lock:
                batch, self._pending = self._pending, []
                now = time.monotonic()
                if self._preview is not None and (final or now - self._preview_sent >= PREVIEW_INTERVAL):
                    batch.append(self._preview)
                    self._preview, self._preview_sent = None, now
            if batch:
                self._send(batch)
