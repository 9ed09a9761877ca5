"""Tensors are made by several threads, each alone with its own, and come in order."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from diffusion.threaded import by_threads

NAMES = [str(number) for number in range(20)]


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_tensors_come_in_the_order_of_their_names():
    made = list(by_threads(lambda name: torch.tensor(int(name)), NAMES))
    assert [int(each) for each in made] == list(range(20))


def test_two_are_made_at_once_and_each_alone():
    meeting = threading.Barrier(2, timeout=30)

    def make(name: str) -> Tensor:
        meeting.wait()  # for ever, if one thread had to make both
        return torch.tensor(torch.get_num_threads())

    assert [int(each) for each in by_threads(make, NAMES)] == [1] * 20
    assert torch.get_num_threads() == 2


def test_one_thread_makes_them_where_torch_has_only_one():
    torch.set_num_threads(1)
    here = threading.get_ident()
    made = by_threads(lambda _: torch.tensor(threading.get_ident() == here), NAMES)
    assert all(bool(each) for each in made)


def test_what_goes_wrong_is_raised_and_ends_the_work():
    made: list[str] = []

    def make(name: str) -> Tensor:
        made.append(name)
        if name == "3":
            raise MemoryError(name)
        return torch.zeros(1)

    found = by_threads(make, [str(number) for number in range(10_000)])
    with pytest.raises(MemoryError, match="3"):
        list(found)
    assert len(made) < 10_000
    assert torch.get_num_threads() == 2
