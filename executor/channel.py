"""Messages over a pair of pipes: each is pickled and sent with its length before it.

Plain pipes work alike on every system, end when either side dies, and need neither addresses nor keys.
"""

from __future__ import annotations

import os
import pickle
import struct
import threading
from typing import Any

HEADER = struct.Struct(">Q")
LARGEST = 1 << 32


class ChannelClosed(Exception):
    """The other side is gone."""


class ChannelBroken(ChannelClosed):
    """What came is no message, so nothing that comes after it can be understood; the other side may live on."""


class Channel:
    """One end of a two-way stream of messages. Sending is safe from several threads, receiving is for one.

    Args:
        reading: file descriptor to read from, in binary mode.
        writing: file descriptor to write to, in binary mode.
    """

    def __init__(self, reading: int, writing: int) -> None:
        self._reading = reading
        self._writing = writing
        self._lock = threading.Lock()

    def send(self, message: Any) -> None:
        """Send a message. Raises `ChannelClosed` when the other side is gone."""
        body = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
        data = memoryview(HEADER.pack(len(body)) + body)
        with self._lock:
            while data:
                try:
                    data = data[os.write(self._writing, data) :]
                except OSError as error:
                    raise ChannelClosed("the other process is gone") from error

    def receive(self) -> Any:
        """Wait for the next message.

        Raises:
            ChannelClosed: the other side is gone.
            ChannelBroken: it sent what can't be read.
        """
        (size,) = HEADER.unpack(self._exactly(HEADER.size))
        if size > LARGEST:
            raise ChannelBroken(f"a message of {size:,} bytes was announced")
        body = self._exactly(size)
        try:
            return pickle.loads(body)
        except Exception as error:
            raise ChannelBroken(f"{type(error).__name__}: {error}") from error

    def _exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            try:
                block = os.read(self._reading, min(size - len(data), 1 << 20))
            except OSError as error:
                raise ChannelClosed("the other process is gone") from error
            if not block:
                raise ChannelClosed("the other process is gone")
            data += block
        return bytes(data)


def standard_streams() -> Channel:
    """The channel of a child process over its standard streams, which are put out of the reach of everything else.

    Afterwards standard output goes where standard error goes, so that a print in a node can't break the stream.
    """
    reading, writing = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    if os.name == "nt":
        import msvcrt

        for descriptor in (reading, writing):
            msvcrt.setmode(descriptor, os.O_BINARY)
    return Channel(reading, writing)
