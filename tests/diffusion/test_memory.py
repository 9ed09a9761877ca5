from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from diffusion.memory import Meter, OutOfMemory, available, collect, is_out_of_memory, with_relief

CPU = torch.device("cpu")
ROOT = Path(__file__).parents[2]


def refused() -> RuntimeError:
    """What torch raises when the machine refuses memory."""
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**55, dtype=torch.uint8)
    return caught.value


def test_a_refusal_of_the_machine_is_told_from_other_errors():
    assert is_out_of_memory(refused())
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert not is_out_of_memory(RuntimeError("shapes do not match"))
    assert not is_out_of_memory(ValueError("can't allocate memory"))


def test_it_is_tried_again_for_as_long_as_there_is_something_to_move():
    left = [1, 1]

    def run() -> str:
        if left:
            raise torch.OutOfMemoryError("full")
        return "done"

    assert with_relief(run, lambda: bool(left and left.pop()), "a picture", "Make it smaller.") == "done"


def test_when_nothing_is_left_to_move_the_error_says_what_would_fit():
    def run() -> None:
        raise torch.OutOfMemoryError("full")

    with pytest.raises(OutOfMemory, match="not enough memory for a picture") as caught:
        with_relief(run, lambda: False, "a picture", "Make it smaller.")
    assert (caught.value.code, caught.value.hint) == ("out_of_memory", "Make it smaller.")


def test_other_errors_pass():
    with pytest.raises(ValueError, match="odd"):
        with_relief(lambda: int("odd"), lambda: pytest.fail("moved something"), "a number", "")


def test_a_meter_remembers_the_most_there_was():
    meter = Meter(10)
    meter.take(8)
    meter.give(5)
    meter.take(1)
    assert (meter.now, meter.peak, meter.room) == (4, 8, 6)


def test_there_is_memory_on_this_machine():
    collect(CPU)
    assert 0 < available(CPU) < 2**50


KEPT = """
import torch
from contextlib import nullcontext
from pathlib import Path
from diffusion.memory import frugal

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

torch.ones(2**22).sum()  # once a piece of 16 MiB was let go of, the allocator keeps those that are smaller
before = resident()
with {way}():
    pieces = [torch.ones(2**20) for _ in range(50)]
    last = torch.ones(2**17)  # behind them, so that the heap cannot shrink
    del pieces
    print(resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's allocator can be told to")
def test_a_large_pass_hands_its_memory_back_at_once():
    def kept(way: str) -> int:
        code = KEPT.format(way=way)
        return int(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, cwd=ROOT).stdout)

    assert kept("frugal") < 20e6
    assert kept("nullcontext") > 150e6, "200 MB were written"
