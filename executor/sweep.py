"""Lays out a plot: copies what leads to it once for each of its cells, with other values of one or two inputs.

A plot is a node of the class `XYPlot`, whose texts name inputs of nodes upstream of it and list their values. Only what
depends on those inputs is copied, and copies that come out equal are run once, as all equal nodes are.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from executor.bind import Bad, value_reader
from executor.files import FileCatalogue
from executor.graph import Graph, GraphNode, Link
from executor.problems import NearestNames, Problem, quoted
from nodes.sdk.axis import axis_values
from nodes.sdk.spec import Catalogue, InputSpec

PLOT = "XYPlot"
PICTURES = "images"
JOIN = "ImageBatch"
MAX_CELLS = 256
AXES = ("x", "y")


class Swept(NamedTuple):
    """A graph whose plots are laid out. `origins` says which node each copy was made from."""

    graph: Graph
    origins: Mapping[str, str]
    problems: list[Problem]


class _Axis(NamedTuple):
    node: str
    input: str
    values: tuple[Any, ...]


def lay_out(graph: Graph, catalogue: Catalogue, files: FileCatalogue) -> Swept:
    """The graph with the plots in it laid out; what is wrong with one is a problem of its node, which then stays."""
    plots = [node for node in graph.nodes.values() if node.class_type == PLOT]
    if not plots:
        return Swept(graph, {}, [])
    nodes, origins, problems = dict(graph.nodes), dict[str, str](), list[Problem]()
    for plot in plots:
        source = plot.inputs.get(PICTURES)
        if type(source) is not Link:
            continue  # the check says that it is missing
        upstream = _upstream(graph.nodes, source.node)
        axes: list[_Axis] = []
        for name in AXES:
            try:
                axis = _axis(graph, plot, name, upstream, catalogue, files)
            except ValueError as error:
                message = f"{name!r} of node {plot.id!r}: {error}."
                problems.append(Problem("bad_plot", message, plot.id, PLOT, name))
                continue
            if axis is not None:
                axes.append(axis)
        cells = 1
        for axis in axes:
            cells *= len(axis.values)
        if cells > MAX_CELLS:
            message = f"The plot has {cells} cells; choose fewer values, so that it has {MAX_CELLS} at most."
            problems.append(Problem("bad_plot", message, plot.id, PLOT, "x"))
        elif axes and not any(problem.node == plot.id for problem in problems):
            joined = _copies(graph, plot, source, upstream, axes, nodes, origins)
            nodes[plot.id] = plot._replace(inputs={**plot.inputs, PICTURES: joined})
    return Swept(Graph(nodes, graph.tolerant), origins, problems)


def _copies(
    graph: Graph,
    plot: GraphNode,
    source: Link,
    upstream: set[str],
    axes: Sequence[_Axis],
    nodes: dict[str, GraphNode],
    origins: dict[str, str],
) -> Link:
    """Add the copies for all cells, and what joins their pictures row by row; the link to all of them."""
    changing = _downstream(graph.nodes, upstream, {axis.node for axis in axes})
    ends: list[Link] = []
    for place, cell in enumerate(_cells(axes)):
        names = {node: f"{node}:{plot.id}.{place}" for node in changing}
        for node, name in names.items():
            inputs = {
                key: Link(names.get(value.node, value.node), value.output) if type(value) is Link else value
                for key, value in graph.nodes[node].inputs.items()
            }
            inputs |= {axis.input: value for axis, value in cell if axis.node == node}
            nodes[name] = graph.nodes[node]._replace(id=name, inputs=inputs)
            origins[name] = origins.get(node, node)
        ends.append(Link(names.get(source.node, source.node), source.output))
    return _joined(ends, plot, nodes, origins)


def _joined(ends: Sequence[Link], plot: GraphNode, nodes: dict[str, GraphNode], origins: dict[str, str]) -> Link:
    """Join pictures in halves, so that each is copied only a few times."""
    if len(ends) == 1:
        return ends[0]
    half = len(ends) // 2
    inputs = {
        "image1": _joined(ends[:half], plot, nodes, origins),
        "image2": _joined(ends[half:], plot, nodes, origins),
    }
    name = f"{plot.id}:join.{len(nodes)}"
    nodes[name] = GraphNode(name, JOIN, inputs)
    origins[name] = plot.id
    return Link(name, 0)


def _cells(axes: Sequence[_Axis]) -> Iterator[list[tuple[_Axis, Any]]]:
    """The values of each cell, row by row: along x first."""
    if not axes:
        yield []
        return
    *first, last = axes
    for value in last.values:
        for before in _cells(first):
            yield [*before, (last, value)]


def _axis(
    graph: Graph,
    plot: GraphNode,
    name: str,
    upstream: set[str],
    catalogue: Catalogue,
    files: FileCatalogue,
) -> _Axis | None:
    """One axis of a plot; None when it names no input. Raises ValueError in words that follow a colon."""
    target, text = plot.inputs.get(name, ""), plot.inputs.get(f"{name}_values", "")
    if type(target) is not str or type(text) is not str:
        raise ValueError("the inputs of a plot are typed in, not linked")
    if not target.strip():
        if text.strip():
            raise ValueError(f"there are values, and no input; write it as in {_example(graph, upstream, catalogue)}")
        return None
    called, dot, wanted = target.strip().rpartition(".")
    if not dot:
        raise ValueError(f"write NODE.INPUT, as in {_example(graph, upstream, catalogue)}")
    node = _called(graph, called, upstream, catalogue)
    declared = catalogue[node.class_type].input(wanted) if node.class_type in catalogue else None
    if declared is None or declared.widget is None:
        raise ValueError(f"node {called!r} has no value {wanted!r}; the nearest are {_listed(node, catalogue)}")
    values = axis_values(text)
    if not values:
        raise ValueError(f"there are no values for {target!r} in {name}_values")
    read = value_reader(declared, files, NearestNames())
    found: list[Any] = []
    for value in values:
        literal = _literal(value, declared)
        bad = read(literal)
        if type(bad) is Bad:
            raise ValueError(f"{wanted!r} {bad.message}")
        found.append(literal)
    return _Axis(node.id, wanted, tuple(found))


def _called(graph: Graph, name: str, upstream: set[str], catalogue: Catalogue) -> GraphNode:
    """The node of an id, or the only one upstream with that title or class."""
    if name in upstream:
        return graph.nodes[name]
    found = [node for node in graph.nodes.values() if node.id in upstream and name in _names(node, catalogue)]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(node.id for node in found)
        raise ValueError(f"several nodes are called {quoted(name)}; use an id: {ids}")
    raise ValueError(f"no node called {quoted(name)} leads to the plot, as in {_example(graph, upstream, catalogue)}")


def _names(node: GraphNode, catalogue: Catalogue) -> tuple[str | None, ...]:
    spec = catalogue.get(node.class_type)
    return (node.title, node.class_type, *((spec.id, spec.title, *spec.aliases) if spec is not None else ()))


def _literal(text: str, declared: InputSpec) -> Any:
    if declared.type in ("STRING", "COMBO"):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _listed(node: GraphNode, catalogue: Catalogue) -> str:
    spec = catalogue.get(node.class_type)
    names = [each.name for each in spec.inputs if each.widget is not None] if spec is not None else []
    return ", ".join(names) or "none"


def _example(graph: Graph, upstream: set[str], catalogue: Catalogue) -> str:
    """An input that could be named, such as a sampler's."""
    for wanted in ("cfg", "seed", "steps", ""):
        for node_id in sorted(upstream):
            node = graph.nodes[node_id]
            spec = catalogue.get(node.class_type)
            names = [each.name for each in spec.inputs if each.widget is not None] if spec is not None else []
            if names and wanted in (*names, ""):
                return f"`{node.title or node.class_type}.{wanted or names[0]}`"
    return "`KSampler.cfg`"


def _upstream(nodes: Mapping[str, GraphNode], start: str) -> set[str]:
    """A node and all that lead to it."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        here = waiting.pop()
        if here in nodes and here not in found:
            found.add(here)
            waiting.extend(link.node for _, link in nodes[here].links())
    return found


def _downstream(nodes: Mapping[str, GraphNode], among: set[str], starts: set[str]) -> set[str]:
    """Of some nodes, those that are or depend on one of `starts`."""
    consumers: dict[str, list[str]] = {}
    for node in among:
        for _, link in nodes[node].links():
            consumers.setdefault(link.node, []).append(node)
    found: set[str] = set()
    waiting = list(starts)
    while waiting:
        here = waiting.pop()
        if here not in found:
            found.add(here)
            waiting.extend(consumers.get(here, ()))
    return found
