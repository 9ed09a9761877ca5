"""Decides what a job runs: what the outputs need, less what is cached, in order, with the last use of each value."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from executor.check import BoundNode
from executor.keys import Key


class Step(NamedTuple):
    """One call of a node's function. `twins` are other nodes with the same key: they share the result."""

    node: BoundNode
    key: Key
    twins: tuple[str, ...]


class Plan(NamedTuple):
    """What a job does.

    `steps` are in an order that respects links. `hits` are the cached results that steps read or that were asked
    for, by key, with the nodes they stand for. `cached` lists every needed node that is not run. `uses` counts how
    many links of steps read each key, so that a value can be dropped after its last use.
    """

    steps: list[Step]
    hits: dict[Key, list[str]]
    cached: list[str]
    uses: dict[Key, int]


def make_plan(
    nodes: Mapping[str, BoundNode],
    keys: Mapping[str, Key],
    targets: Iterable[str],
    available: Callable[[Key], bool],
) -> Plan:
    """Plan a job. Nothing upstream of a cached result is run, unless something else needs it.

    Args:
        nodes: what the targets need, each node after those it takes values from.
        keys: the key of each node.
        targets: the nodes whose results are wanted.
        available: whether the result of a key is cached.
    """
    targets = list(targets)
    wanted: dict[Key, bool] = {}
    pending = [keys[target] for target in targets]
    first: dict[Key, str] = {}
    twins: dict[Key, list[str]] = {}
    for node_id in nodes:
        key = keys[node_id]
        if first.setdefault(key, node_id) is not node_id:
            twins.setdefault(key, []).append(node_id)
    while pending:
        key = pending.pop()
        if key in wanted:
            continue
        hit = wanted[key] = available(key)
        if not hit:
            pending.extend(keys[link.node] for link in nodes[first[key]].links.values())

    steps: list[Step] = []
    uses: dict[Key, int] = {}
    cached: list[str] = []
    for node_id, node in nodes.items():
        key = keys[node_id]
        if wanted.get(key, True):
            cached.append(node_id)
        elif first[key] is node_id:
            steps.append(Step(node, key, tuple(twins.get(key, ()))))
            for link in node.links.values():
                upstream = keys[link.node]
                uses[upstream] = uses.get(upstream, 0) + 1
    asked = {keys[target] for target in targets}
    read = [key for key, hit in wanted.items() if hit and (key in asked or key in uses)]
    hits = {key: [first[key], *twins.get(key, ())] for key in read}
    return Plan(steps, hits, cached, uses)
