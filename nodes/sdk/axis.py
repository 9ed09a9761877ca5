"""Reads the values of one axis of a plot from text: one a line, or separated by commas, or a range of numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

MAX_VALUES = 64
_NUMBER = r"[+-]?\d+(?:\.\d+)?"
_RANGE = re.compile(rf"({_NUMBER})\s*\.\.\s*({_NUMBER})(?:\s*/\s*({_NUMBER}))?")


def axis_values(text: str) -> tuple[str, ...]:
    """The values in a text. Several lines are a value each, commas and all; one line is split at its commas, and there
    `1..4` is the numbers from 1 to 4, and `0..1/0.25` those in steps of 0.25.

    Raises ValueError, saying what is wrong, when there are more than MAX_VALUES, or a range leads nowhere.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    values: list[str] = []
    for value in lines if len(lines) > 1 else _split("".join(lines)):
        values.append(value)
        if len(values) > MAX_VALUES:
            raise ValueError(f"there are more than {MAX_VALUES} values")
    return tuple(values)


def _split(line: str) -> Iterator[str]:
    for part in line.split(","):
        part = part.strip()
        found = _RANGE.fullmatch(part)
        if found is not None:
            yield from _range(part, *found.groups())
        elif part:
            yield part


def _range(written: str, first: str, last: str, step: str | None) -> Iterator[str]:
    value, end = Decimal(first), Decimal(last)
    by = Decimal(step) if step is not None else Decimal(1 if end >= value else -1)
    if by == 0 or (end - value) * by < 0:
        raise ValueError(f"{written} leads nowhere: the step has to go from the first number to the last")
    while (end - value) * by >= 0:
        yield format(value.normalize(), "f")
        value += by
