"""Walks a ComfyUI API prompt upstream from a node, to find what a picture was made with.

Every walk is breadth first, without recursion, and visits a node once, so that a graph of any size or shape is safe.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

Prompt = Mapping[str, Any]


def node_inputs(prompt: Prompt, node_id: str) -> Mapping[str, Any]:
    """The inputs of a node; empty when there is none of that id."""
    found = prompt.get(node_id)
    inputs = cast("Mapping[str, Any]", found).get("inputs") if isinstance(found, Mapping) else None
    return cast("Mapping[str, Any]", inputs) if isinstance(inputs, Mapping) else {}


def linked(value: object) -> str | None:
    """The id of the node that a link comes from, or None when the value is no link."""
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 2:
        source = cast("Sequence[object]", value)[0]
        return source if isinstance(source, str) else None
    return None


def upstream(prompt: Prompt, node_id: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """A node and everything that leads to it, the nearest first, with its inputs."""
    seen = {node_id}
    waiting = deque([node_id])
    while waiting:
        here = waiting.popleft()
        inputs = node_inputs(prompt, here)
        yield here, inputs
        for value in inputs.values():
            source = linked(value)
            if source is not None and source in prompt and source not in seen:
                seen.add(source)
                waiting.append(source)


def literal(prompt: Prompt, value: object, *names: str) -> Any:
    """The value of an input: as written, or, when it is linked, the nearest upstream input of one of these names."""
    source = linked(value)
    if source is None:
        return value
    for _, inputs in upstream(prompt, source):
        for name in (*names, "value"):
            if name in inputs and linked(inputs[name]) is None:
                return inputs[name]
    return None


def seed_of(prompt: Prompt, node_id: str) -> int | None:
    """The seed of the nearest sampler upstream of a node."""
    for _, inputs in upstream(prompt, node_id):
        for name in ("seed", "noise_seed"):
            if name in inputs:
                value = literal(prompt, inputs[name], "seed", "noise_seed")
                if isinstance(value, int):
                    return value
    return None
