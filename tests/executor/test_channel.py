"""Messages arrive whole and in order, and the end of the other side is noticed."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest

from executor.channel import Channel, ChannelClosed


def test_messages_of_any_size_arrive_in_order():
    (from_a, to_b), (from_b, to_a) = os.pipe(), os.pipe()
    one, other = Channel(from_b, to_b), Channel(from_a, to_a)
    messages: list[Any] = [1, "x" * 5_000_000, {"a": b"\0" * 100}, None]
    sender = threading.Thread(target=lambda: [one.send(message) for message in messages])
    sender.start()
    assert [other.receive() for _ in messages] == messages
    sender.join()
    os.close(to_b)
    with pytest.raises(ChannelClosed):
        other.receive()
    os.close(from_b)
    with pytest.raises(ChannelClosed):
        other.send(1)
    for descriptor in (from_a, to_a):
        os.close(descriptor)


def test_a_message_that_was_cut_off_is_the_end():
    reading, writing = os.pipe()
    os.write(writing, b"\0\0\0\0\0\0\0\x10abc")
    os.close(writing)
    with pytest.raises(ChannelClosed):
        Channel(reading, 1).receive()
    os.close(reading)
