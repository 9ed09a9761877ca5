"""Holds back Python's cycle collector while many small objects are made that all stay alive.

Building a graph of ten thousand nodes makes the collector walk everything several times to find nothing: half the
time of parsing and checking it.
"""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def no_collection() -> Generator[None]:
    """Cycles made within wait to be collected until afterwards."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
