"""Resolves muted and bypassed nodes, so that everything after this sees only nodes that take part."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from executor.graph import Graph, GraphNode, Link
from executor.problems import Problem
from nodes.sdk.spec import Catalogue, InputSpec, NodeSpec
from nodes.sdk.types import connects

STATES = {"mute": "muted", "bypass": "bypassed"}
REMEDIES = {"mute": "unmute it", "bypass": "end its bypass"}


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What modes took out of a graph: the nodes that are `off` (muted or bypassed themselves), by id, and a problem
    for each input without which another one can't run. They are warnings while something is left to run."""

    off: Mapping[str, GraphNode]
    problems: tuple[Problem, ...] = ()

    @property
    def nodes(self) -> dict[str, str]:
        """The classes of all nodes that are not run, by their ids."""
        starved = {each.node: each.class_type or "" for each in self.problems if each.node is not None}
        return {node.id: node.class_type for node in self.off.values()} | starved

    def reasons(self, lost: Iterable[str]) -> list[Problem]:
        """Why nodes are not run: the inputs upstream that something off starves; without any, those that are off."""
        lost = list(lost)
        sources: dict[str, list[str]] = {}
        for problem in self.problems:
            sources.setdefault(problem.node or "", []).append(problem.details["source"])
        pending, met = list(lost), set[str]()
        while pending:
            node = pending.pop()
            if node not in met:
                met.add(node)
                pending.extend(sources.get(node, ()))
        starved = [each for each in self.problems if each.node in met and each.details["mode"] in STATES]
        return starved or [_is_off(self.off[node]) for node in lost if node in self.off]


class Resolved(NamedTuple):
    """A graph of normal nodes only, and what was left out of it."""

    graph: Graph
    left_out: LeftOut


def resolve_modes(graph: Graph, catalogue: Catalogue) -> Resolved:
    """Drop muted nodes and what can't run without them; wire links past bypassed nodes.

    A muted node's links are deleted; a node that thereby loses a required input is left out as well, and so on
    downstream. The output of a bypassed node is replaced by what feeds its input in the same place when the types
    fit, otherwise by the first input whose type fits. A node that says itself what it passes on is believed: it came
    from a file of ComfyUI's editor, where that depends on slots that its declaration here may not have.
    """
    off = {node.id: node for node in graph.nodes.values() if node.mode != "normal"}
    if not off:
        return Resolved(graph, LeftOut({}))
    wired = {node.id: _rewired(node, graph, catalogue) for node in graph.nodes.values() if node.id not in off}
    nodes = dict(wired)
    consumers: dict[str, list[str]] = {}
    for node in nodes.values():
        for _, link in node.links():
            consumers.setdefault(link.node, []).append(node.id)
    starved = [key for key, node in nodes.items() if any(_lost(graph.nodes[key], node, catalogue))]
    gone = {*off, *starved}
    dropped = [*off, *starved]
    while dropped:
        lost = dropped.pop()
        for consumer in consumers.get(lost, ()):
            if consumer in gone:
                continue
            kept = {name: value for name, value in nodes[consumer].inputs.items() if not _is_link_to(value, lost)}
            before, nodes[consumer] = nodes[consumer], nodes[consumer]._replace(inputs=kept)
            if any(_lost(before, nodes[consumer], catalogue)):
                gone.add(consumer)
                dropped.append(consumer)
    left = {key: node for key, node in nodes.items() if key not in gone}
    problems = [
        problem
        for key, node in wired.items()
        if key in gone
        for problem in _why_left_out(graph.nodes[key], node, graph.nodes, gone, catalogue)
    ]
    return Resolved(Graph(left, graph.tolerant), LeftOut(off, tuple(problems)))


def _is_link_to(value: object, node_id: str) -> bool:
    return isinstance(value, Link) and value.node == node_id


def _lost(before: GraphNode, node: GraphNode, catalogue: Catalogue) -> Iterator[InputSpec]:
    """The inputs that the node lost a link of, and can't run without."""
    spec = catalogue.get(node.class_type)
    if spec is None or node is before:
        return
    for name in before.inputs:
        if name not in node.inputs:
            lost = spec.input(name)
            if lost is not None and lost.required and lost.default is None:
                yield lost


def _why_left_out(
    node: GraphNode, wired: GraphNode, nodes: Mapping[str, GraphNode], gone: set[str], catalogue: Catalogue
) -> Iterator[Problem]:
    """A problem for each input of a node that is empty now.

    Args:
        node: the node as the document has it.
        wired: the node with its links led past bypassed nodes.
        nodes: all nodes of the document.
        gone: the ids of those that are not run.
        catalogue: the nodes there are.
    """
    kept = {name: value for name, value in wired.inputs.items() if type(value) is not Link or value.node not in gone}
    for declared in _lost(node, wired._replace(inputs=kept), catalogue):
        # Where bypasses lead nowhere, the first of them is named: nothing is left that the link could be seen to reach.
        source = nodes[wired.inputs.get(declared.name, node.inputs[declared.name]).node]
        where = f"{declared.name!r} of node {_called(node)}"
        if source.mode == "normal":
            message = f"{where} is missing, because node {_called(source)}, which feeds it, is left out as well."
        else:
            useless = f", and has no {declared.type} to pass on" if source.mode == "bypass" else ""
            message = (
                f"{where} is missing, because node {_called(source)}, which feeds it, is {STATES[source.mode]}"
                f"{useless}; {REMEDIES[source.mode]}, or link another output of type {declared.type}."
            )
        details: dict[str, Any] = {"source": source.id, "mode": source.mode, "expected": declared.type}
        yield Problem("muted_upstream", message, node.id, node.class_type, declared.name, details)


def _is_off(node: GraphNode) -> Problem:
    message = f"Nothing comes out of node {_called(node)}, because it is {STATES[node.mode]}; {REMEDIES[node.mode]}."
    return Problem("no_output_node", message, node.id, node.class_type, details={"mode": node.mode})


def _called(node: GraphNode) -> str:
    return f"{node.id!r} ({node.title or node.class_type})"


def _rewired(node: GraphNode, graph: Graph, catalogue: Catalogue) -> GraphNode:
    """The node with its links led past bypassed nodes; itself when none of them concern it."""
    inputs: dict[str, object] = {}
    changed = False
    for name, value in node.inputs.items():
        source = value
        if isinstance(value, Link) and value.node in graph.nodes and graph.nodes[value.node].mode == "bypass":
            changed = True
            source = _past(value, graph.nodes, catalogue)
            if source is None:
                continue
        inputs[name] = source
    return node._replace(inputs=inputs) if changed else node


def _past(link: Link, nodes: Mapping[str, GraphNode], catalogue: Catalogue) -> Link | None:
    """Follow a link upstream through bypassed nodes; None when it ends nowhere or runs in a circle."""
    seen: set[Link] = set()
    here: Link | None = link
    while here is not None and here not in seen and here.node in nodes and nodes[here.node].mode == "bypass":
        seen.add(here)
        node = nodes[here.node]
        spec = catalogue.get(node.class_type)
        if str(here.output) in node.passes:
            name: object = node.passes[str(here.output)]
            passed = node.inputs.get(name) if isinstance(name, str) else None
            here = passed if isinstance(passed, Link) else None
        else:
            here = _through(node, here.output, spec) if spec is not None else None
    return None if here in seen else here


def _through(node: GraphNode, output: int, spec: NodeSpec) -> Link | None:
    if not 0 <= output < len(spec.outputs):
        return None
    wanted = spec.outputs[output].type
    sockets = [each for each in spec.inputs if each.widget is None]
    for each in (*sockets[output : output + 1], *sockets, *spec.inputs):
        value = node.inputs.get(each.name)
        if isinstance(value, Link) and connects(each.type, wanted):
            return value
    return None
