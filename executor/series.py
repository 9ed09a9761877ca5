"""Values that travel as a series: a node is called once for each, or once for all when its input asks for that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nodes.sdk.spec import NodeSpec


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Values that a link carries one by one; never just one, which travels as itself."""

    items: tuple[Any, ...]


def calls(inputs: Mapping[str, Any], spec: NodeSpec) -> Iterator[dict[str, Any]]:
    """The inputs of each call that a node's inputs ask for.

    There are as many as the longest series has values, and a shorter one repeats its last. A node with an input that
    takes a whole series is called once, with the first value of any other.
    """
    whole = {each.name for each in spec.inputs if each.many}
    if whole:
        yield {
            name: list(_items(value)) if name in whole else next(iter(_items(value)), None)
            for name, value in inputs.items()
        }
        return
    lengths = [len(value.items) for value in inputs.values() if type(value) is Series]
    if 0 in lengths:
        return
    for place in range(max(lengths, default=1)):
        yield {
            name: value.items[min(place, len(value.items) - 1)] if type(value) is Series else value
            for name, value in inputs.items()
        }


def gathered(results: Sequence[tuple[Any, ...]], spec: NodeSpec) -> tuple[Any, ...]:
    """The outputs of a node from those of its calls: series, where there is not exactly one value."""
    outputs: list[Any] = []
    for place, output in enumerate(spec.outputs):
        items = [result[place] for result in results]
        if output.many:
            items = [each for part in items for each in part]
        outputs.append(items[0] if len(items) == 1 else Series(tuple(items)))
    return tuple(outputs)


def _items(value: Any) -> Sequence[Any]:
    return value.items if type(value) is Series else (value,)
