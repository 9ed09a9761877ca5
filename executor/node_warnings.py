"""Tells the person at the editor what a node logs as a warning, which they would otherwise have to find in the log."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

LOGGER = "latentgraph"
"""The logger of the whole program; nodes and what they call log below it."""


class _Teller(logging.Handler):
    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._tell = tell
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self._tell(record.getMessage())


@contextmanager
def warnings_told(tell: Callable[[str], None]) -> Generator[None]:
    """While it is entered, `tell` is called with each warning, or worse, that this thread logs."""
    teller, logger = _Teller(tell), logging.getLogger(LOGGER)
    logger.addHandler(teller)
    try:
        yield
    finally:
        logger.removeHandler(teller)
