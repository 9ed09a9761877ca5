"""Makes many tensors at once, each in a thread that works on it alone.

torch divides each operation among its threads, which meet after each one and wait for the slowest. That is long where
memory is written for the first time: whichever thread gets new pages from the system, or from the host of a virtual
machine, holds up the others. Whole tensors for each thread load Stable Diffusion 1.5 in three quarters of the time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import torch
from torch import Tensor

_MOST = 4
"""Threads from which on memory is the limit; each needs some of its own for what it converts."""


def by_threads(make: Callable[[str], Tensor], names: Sequence[str]) -> Iterator[Tensor]:
    """`make(name)` for each name, in their order, made by as many threads as torch computes with, at most 4.

    `make` has to be safe to call from several threads. What it raises is raised here, and ends the others' work.
    """
    threads = torch.get_num_threads()
    if threads < 2 or len(names) < 2:
        yield from map(make, names)
        return
    try:
        with ThreadPoolExecutor(min(threads, _MOST), initializer=partial(torch.set_num_threads, 1)) as pool:
            yield from pool.map(make, names)
    finally:
        torch.set_num_threads(threads)  # the number of one thread is that of threads that come later, too
