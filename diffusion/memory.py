"""Counts the bytes that models hold, knows what there is, and tells when memory has run out."""

from __future__ import annotations

import ctypes
import gc
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch

from diffusion.device import memory_of
from diffusion.errors import DiffusionError

log = logging.getLogger("latentgraph.memory")

T = TypeVar("T")

Relieve = Callable[[], bool]
"""Moves something out of a full memory; False when nothing is left to move."""

_M_MMAP_THRESHOLD = -3
"""mallopt(3) and malloc.h of glibc."""
_LARGEST_KEPT_PIECE = 32 * 2**20
_FRUGAL_PIECE = 2**20

_REFUSALS = ("out of memory", "can't allocate memory", "not enough memory", "Cannot allocate memory")


class OutOfMemory(DiffusionError):
    """Not enough memory, after everything that could be moved out of the way was."""

    default_code = "out_of_memory"


@dataclass(slots=True)
class Meter:
    """Bytes held against a limit, and the most there ever were."""

    limit: int
    now: int = 0
    peak: int = 0

    @property
    def room(self) -> int:
        """Bytes left; negative when the limit is passed."""
        return self.limit - self.now

    def take(self, size: int) -> None:
        self.now += size
        self.peak = max(self.peak, self.now)

    def give(self, size: int) -> None:
        self.now -= size


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on a GPU or in the machine."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(refusal in str(error) for refusal in _REFUSALS)


def with_relief(run: Callable[[], T], relieve: Relieve, what: str, hint: str) -> T:
    """What `run` gives. When memory runs out, it is run again for as long as `relieve` can move something away.

    Raises OutOfMemory, saying `what` did not fit and with the hint at what would, when there is nothing left to move.
    """
    while True:
        try:
            return run()
        except Exception as error:
            if isinstance(error, OutOfMemory) or not is_out_of_memory(error):
                raise
            cause = error.with_traceback(None)  # its frames hold the very memory that is missing
        if not relieve():
            raise OutOfMemory(f"There is not enough memory for {what}.", hint=hint) from cause
        log.warning("memory ran out for %s; trying again with more room", what)


def default_budget(device: torch.device) -> int:
    """Bytes of weights to keep on a device unless a person says otherwise: half of the machine's memory, 80 % of a
    GPU's."""
    return int(memory_of(device) * (0.5 if device.type == "cpu" else 0.8))


def available(device: torch.device) -> int:
    """Bytes that could be taken on the device now."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    try:
        with Path("/proc/meminfo").open(encoding="ascii") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:  # only Linux tells
        pass
    return memory_of(device) // 2


def trim() -> None:
    """Hand back what the allocator keeps for later, where it can be told to (glibc)."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


@contextmanager
def frugal() -> Iterator[None]:
    """Let the allocator hand memory back as soon as it is free, where it can be told to (glibc).

    By itself it keeps pieces of up to 32 MiB for later, which suits the many equal steps of sampling. A pass through an
    autoencoder uses each size once: beside what sampling left, that costs 0.2 GB at 512×512.
    """
    trim()
    _map_from(_FRUGAL_PIECE)
    try:
        yield
    finally:
        _map_from(_LARGEST_KEPT_PIECE)


def _map_from(size: int) -> None:
    """Take pieces of at least so many bytes from the system, and give them back to it."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").mallopt(_M_MMAP_THRESHOLD, size)


def collect(device: torch.device) -> None:
    """Hand memory that nothing refers to back to the device."""
    gc.collect()
    trim()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
