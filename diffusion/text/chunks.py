"""Cuts weighted tokens into the fixed windows that a CLIP encoder reads.

A window holds a start token, up to 75 tokens of the prompt, an end token, and padding. A segment of fewer than 8 tokens
is never cut in two; a longer one is cut wherever the window ends. Nothing is dropped: a long prompt takes more windows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

KEEP_WHOLE = 8


@dataclass(frozen=True, slots=True)
class Chunk:
    """One window: token ids and their weights, both of the window's length."""

    tokens: tuple[int, ...]
    weights: tuple[float, ...]


def chunk(
    segments: Iterable[tuple[Sequence[int], float]], *, start: int, end: int, pad: int, length: int = 77
) -> list[Chunk]:
    """The windows of a prompt, at least one. `segments` are token ids with the weight that all of them carry."""
    windows: list[list[tuple[int, float]]] = [[]]
    room = length - 2
    for tokens, weight in segments:
        left = list(tokens)
        while left:
            free = room - len(windows[-1])
            if len(left) <= free:
                windows[-1].extend((token, weight) for token in left)
                break
            if len(tokens) >= KEEP_WHOLE:
                windows[-1].extend((token, weight) for token in left[:free])
                left = left[free:]
            windows.append([])
    return [_finish(window, start, end, pad, length) for window in windows]


def _finish(window: list[tuple[int, float]], start: int, end: int, pad: int, length: int) -> Chunk:
    filled = [(start, 1.0), *window, (end, 1.0)]
    filled += [(pad, 1.0)] * (length - len(filled))
    return Chunk(tuple(token for token, _ in filled), tuple(weight for _, weight in filled))
