"""Runs what can be run of a workflow from ComfyUI, which refuses single outputs and not the whole of it.

Shared workflows often hold a branch that their author left unfinished; the picture they were shared for comes out.
"""

from __future__ import annotations

from collections.abc import Iterator

from executor.check import Checked, upstream_first
from executor.graph import Graph
from executor.problems import Problem

UNKNOWN = "unknown_node"


def without_broken_outputs(graph: Graph, checked: Checked) -> Checked:
    """What a check found, less the outputs that have problems upstream, which become warnings.

    It comes back as it was when nothing would be left to run, when a problem has no place, or when a class is unknown:
    then ComfyUI refuses the whole as well.
    """
    if any(problem.code == UNKNOWN or problem.node is None for problem in checked.problems):
        return checked
    broken = {node for problem in checked.problems for node in _nodes(problem)}
    for node in upstream_first(graph.nodes, checked.outputs)[0]:
        if any(link.node in broken for _, link in graph.nodes[node].links()):
            broken.add(node)
    sound = [output for output in checked.outputs if output not in broken]
    if not sound or len(sound) == len(checked.outputs):
        return checked
    order = upstream_first(graph.nodes, sound)[0]
    left_out = [_left_out(graph, output) for output in checked.outputs if output not in sound]
    nodes = {node: checked.nodes[node] for node in order}
    return Checked([], checked.problems + left_out + checked.warnings, nodes, sound)


def _nodes(problem: Problem) -> Iterator[str]:
    if problem.node is not None:
        yield problem.node
    if problem.code == "cycle":
        yield from problem.details["nodes"]


def _left_out(graph: Graph, output: str) -> Problem:
    node = graph.nodes[output]
    message = (
        f"Node {output!r} ({node.title or node.class_type}) is left out, because it or a node that leads to it has a "
        "problem; put that right to get its result."
    )
    return Problem("left_out", message, output, node.class_type)
