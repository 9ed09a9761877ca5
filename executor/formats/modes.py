"""Resolves muted and bypassed nodes, so that everything after this sees only nodes that take part."""

from __future__ import annotations

from collections.abc import Mapping

from executor.graph import Graph, GraphNode, Link
from executor.problems import Problem
from nodes.sdk.spec import Catalogue, NodeSpec
from nodes.sdk.types import connects


def resolve_modes(graph: Graph, catalogue: Catalogue) -> tuple[Graph, list[Problem]]:
    """Drop muted nodes and what can't run without them; wire links past bypassed nodes.

    A muted node's links are deleted; a node that thereby loses a required input is left out as well, and so on
    downstream. The output of a bypassed node is replaced by what feeds its input in the same place when the types
    fit, otherwise by the first input whose type fits. A node that says itself what it passes on is believed: it came
    from a file of ComfyUI's editor, where that depends on slots that its declaration here may not have.

    Returns:
        The graph with normal nodes only, and a warning for each node left out because of a muted one.
    """
    if all(node.mode == "normal" for node in graph.nodes.values()):
        return graph, []
    nodes = {node.id: _rewired(node, graph, catalogue) for node in graph.nodes.values() if node.mode == "normal"}
    consumers: dict[str, list[str]] = {}
    for node in nodes.values():
        for _, link in node.links():
            consumers.setdefault(link.node, []).append(node.id)
    warnings: list[Problem] = []
    dropped = [node.id for node in graph.nodes.values() if node.mode != "normal"]
    for node_id in nodes:
        if nodes[node_id] is not graph.nodes[node_id] and _starved(nodes[node_id], graph.nodes[node_id], catalogue):
            dropped.append(node_id)
            warnings.append(_left_out(nodes[node_id]))
    gone = set(dropped)
    while dropped:
        lost = dropped.pop()
        for consumer in consumers.get(lost, ()):
            if consumer in gone:
                continue
            kept = {name: value for name, value in nodes[consumer].inputs.items() if not _is_link_to(value, lost)}
            before, nodes[consumer] = nodes[consumer], nodes[consumer]._replace(inputs=kept)
            if _starved(nodes[consumer], before, catalogue):
                gone.add(consumer)
                dropped.append(consumer)
                warnings.append(_left_out(before))
    return Graph({key: node for key, node in nodes.items() if key not in gone}, graph.tolerant), warnings


def _is_link_to(value: object, node_id: str) -> bool:
    return isinstance(value, Link) and value.node == node_id


def _left_out(node: GraphNode) -> Problem:
    message = f"Node {node.id!r} is left out, because an input that it needs comes from a muted node."
    return Problem("muted_upstream", message, node.id, node.class_type)


def _starved(node: GraphNode, before: GraphNode, catalogue: Catalogue) -> bool:
    """Whether the node lost a link without which it can't run."""
    if node.class_type not in catalogue:
        return False
    spec = catalogue[node.class_type]
    for name in before.inputs:
        if name not in node.inputs:
            lost = spec.input(name)
            if lost is not None and lost.required and lost.default is None:
                return True
    return False


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
