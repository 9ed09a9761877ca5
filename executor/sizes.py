"""How much memory a node's result holds, found without knowing the libraries whose values it holds."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterable, Mapping
from typing import Any, cast

OVERHEAD = 200
SIMPLE = (int, float, bool, type(None))


def size_of(value: Any) -> int:
    """Bytes of a result: arrays and tensors by their `nbytes`, containers and dataclasses by what they hold.

    A tensor that occurs twice counts once. The walk is iterative.
    """
    if type(value) in SIMPLE:
        return 32
    total = 0
    seen: set[int] = set()
    pending: list[Any] = [value]
    while pending:
        each = pending.pop()
        if type(each) in SIMPLE:
            total += 32
            continue
        if id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, (str, bytes, bytearray)):
            total += sys.getsizeof(each)
            continue
        held = getattr(each, "nbytes", None)
        if isinstance(held, int):
            total += held
        elif isinstance(each, Mapping):
            total += OVERHEAD
            for pair in cast("Mapping[Any, Any]", each).items():
                pending.extend(pair)
        elif isinstance(each, (tuple, list, set, frozenset)):
            total += OVERHEAD
            pending.extend(cast("Iterable[Any]", each))
        elif dataclasses.is_dataclass(each) and not isinstance(each, type):
            total += OVERHEAD
            pending.extend(getattr(each, field.name) for field in dataclasses.fields(each))
        else:
            total += OVERHEAD
    return total
