"""The memory tier holds what fits, lets the oldest go, and never shows files that are gone."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from executor.cache import ENTRY_OVERHEAD, Cache, Entry
from executor.sizes import size_of
from nodes.sdk.context import OutputFile

FILE = OutputFile("output", "", "a.png")


class Array:
    def __init__(self, nbytes: int) -> None:
        self.nbytes = nbytes


@dataclass(frozen=True)
class Held:
    array: Array
    more: tuple[object, ...]


def entry(size: int, files: tuple[OutputFile, ...] = ()) -> Entry:
    return Entry((Array(size),), files)


def test_a_size_counts_each_array_once_wherever_it_is():
    array = Array(1_000_000)
    assert size_of(Held(array, (array, {"again": [array]}))) < 1_003_000
    assert size_of((Array(1_000_000), Array(1_000_000))) > 2_000_000


def test_a_size_is_found_without_recursion():
    deep: object = Array(5)
    for _ in range(5_000):
        deep = (deep,)
    assert size_of(deep) > 5


def test_the_least_recently_used_entry_goes_first():
    cache = Cache(2 * (ENTRY_OVERHEAD + 1500), lambda file: "1")
    cache.put(b"a", entry(1000))
    cache.put(b"b", entry(1000))
    assert cache.get(b"a") is not None
    cache.put(b"c", entry(1000))
    assert (cache.has(b"a"), cache.has(b"b"), cache.has(b"c")) == (True, False, True)


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=1), st.integers(0, 5000)), max_size=40))
def test_never_more_is_held_than_the_capacity(puts: list[tuple[bytes, int]]):
    cache = Cache(10_000, lambda file: "1")
    for key, size in puts:
        cache.put(key, entry(size))
        assert cache.held <= 10_000
    cache.shrink(0)
    assert (cache.held, len(cache)) == (0, 0)


def test_an_entry_whose_files_are_gone_is_missing():
    there = {FILE: "1"}
    cache = Cache(10_000, there.get)
    cache.put(b"a", entry(10, (FILE,)))
    assert cache.has(b"a")
    there.clear()
    assert not cache.has(b"a")
    assert cache.get(b"a") is None


def test_an_entry_whose_file_was_replaced_is_missing():
    there = {FILE: "1"}
    cache = Cache(10_000, there.get)
    cache.put(b"a", entry(10, (FILE,)))
    there[FILE] = "2"
    assert not cache.has(b"a")
    assert cache.get(b"a") is None


def test_an_entry_of_the_second_tier_that_does_not_tell_its_files_is_missing():
    slow = Slow()
    slow.put(b"a", entry(10, (FILE,)))
    assert Cache(10_000, {FILE: "1"}.get, slow).get(b"a") is None


class Slow:
    """A second tier in a dict."""

    def __init__(self) -> None:
        self.entries: dict[bytes, Entry] = {}

    def has(self, key: bytes) -> bool:
        return key in self.entries

    def get(self, key: bytes) -> Entry | None:
        return self.entries.get(key)

    def put(self, key: bytes, entry: Entry) -> None:
        self.entries[key] = entry


def test_what_left_memory_is_found_in_the_second_tier():
    slow = Slow()
    cache = Cache(3000, lambda file: "1", slow)
    cache.put(b"a", entry(1500))
    cache.put(b"b", entry(1500))
    assert cache.has(b"a")
    assert cache.get(b"a") == slow.entries[b"a"]
    assert not cache.has(b"c")
