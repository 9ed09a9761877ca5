"""Results of nodes by key, in memory: bounded in bytes, the least recently used go first.

An optional second tier (the disk store) is asked on a miss and told of what is worth keeping.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from executor.keys import Key
from executor.sizes import size_of
from nodes.sdk.context import OutputFile

ENTRY_OVERHEAD = 600


@dataclass(frozen=True, slots=True)
class Entry:
    """What a node produced: its outputs by index, the files it showed, and how long it took in seconds.

    `stamps` tells the content of each file, so that another one of the same name is not taken for it.
    """

    outputs: tuple[Any, ...]
    files: tuple[OutputFile, ...] = ()
    seconds: float = 0.0
    stamps: tuple[str, ...] = ()


class Tier(Protocol):
    """A slower cache behind the memory, whose content outlives the process."""

    def has(self, key: Key) -> bool: ...

    def get(self, key: Key) -> Entry | None: ...

    def put(self, key: Key, entry: Entry) -> None: ...


class Cache:
    """The cache of a worker.

    An entry whose files were deleted or replaced counts as missing, since the files are what its node is for.

    Args:
        capacity: bytes that the entries in memory may hold together.
        stamp: a text that changes with a file that an entry showed; None when it isn't there.
        disk: the second tier, when there is one.
    """

    def __init__(self, capacity: int, stamp: Callable[[OutputFile], str | None], disk: Tier | None = None) -> None:
        self._capacity = capacity
        self._stamp = stamp
        self._disk = disk
        self._entries: OrderedDict[Key, tuple[Entry, int]] = OrderedDict()
        self._held = 0

    @property
    def held(self) -> int:
        """Bytes held in memory."""
        return self._held

    def __len__(self) -> int:
        return len(self._entries)

    def has(self, key: Key) -> bool:
        """Whether a result is there, so far as can be told without reading it."""
        found = self._entries.get(key)
        if found is not None:
            if not found[0].files or self._files_are_there(found[0]):
                return True
            self._drop(key)
            return False
        return self._disk is not None and self._disk.has(key)

    def get(self, key: Key) -> Entry | None:
        """The result of a key, from memory or else from disk; None when it is missing or damaged."""
        found = self._entries.get(key)
        if found is not None:
            self._entries.move_to_end(key)
            return found[0]
        entry = None if self._disk is None else self._disk.get(key)
        if entry is None or not self._files_are_there(entry):
            return None
        self._remember(key, entry)
        return entry

    def put(self, key: Key, entry: Entry) -> None:
        """Keep a result. One larger than the whole capacity is not kept in memory."""
        if entry.files:
            stamps = tuple(map(self._stamp, entry.files))
            if None in stamps:
                return  # a file that is gone already could never be handed out again
            entry = replace(entry, stamps=tuple(str(each) for each in stamps))
        self._remember(key, entry)
        if self._disk is not None:
            self._disk.put(key, entry)

    def shrink(self, capacity: int) -> None:
        """Let go of the least recently used entries until no more than `capacity` bytes are held."""
        while self._held > capacity and self._entries:
            self._drop(next(iter(self._entries)))

    def _remember(self, key: Key, entry: Entry) -> None:
        size = ENTRY_OVERHEAD + size_of(entry.outputs)
        self._drop(key)
        if size > self._capacity:
            return
        self._entries[key] = (entry, size)
        self._held += size
        self.shrink(self._capacity)

    def _drop(self, key: Key) -> None:
        found = self._entries.pop(key, None)
        if found is not None:
            self._held -= found[1]

    def _files_are_there(self, entry: Entry) -> bool:
        return tuple(map(self._stamp, entry.files)) == entry.stamps
