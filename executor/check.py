"""Finds everything that is wrong with a graph at once, and binds what is right to the node declarations.

Problems of nodes that no output node needs are warnings: they don't keep the rest from running.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, cast

from executor.bind import Bad, Reader, value_reader
from executor.files import FileCatalogue, Snapshot
from executor.formats.modes import LeftOut
from executor.graph import Graph, GraphNode, Link
from executor.problems import NearestNames, Problem, nearest_are, quoted
from nodes.sdk.spec import Catalogue, InputSpec, NodeSpec
from nodes.sdk.types import connects

EDITOR_ONLY_INPUTS = frozenset({"upload", "control_after_generate"})
"""Entries that ComfyUI's editor leaves among the inputs of API prompts; no node ever receives them."""
LISTED_CYCLE = 12
NOTHING = LeftOut({})


class BoundNode(NamedTuple):
    """A node ready to run: literals converted and defaults filled in, links apart."""

    id: str
    spec: NodeSpec
    values: dict[str, Any]
    links: dict[str, Link]


class Checked(NamedTuple):
    """The result of a check. `nodes` holds what the output nodes need, each after the nodes it takes values from;
    it is complete only when there are no problems."""

    problems: list[Problem]
    warnings: list[Problem]
    nodes: dict[str, BoundNode]
    outputs: list[str]


def check(
    graph: Graph,
    catalogue: Catalogue,
    files: FileCatalogue,
    targets: Iterable[str] | None = None,
    left_out: LeftOut = NOTHING,
) -> Checked:
    """Check a graph whose modes are resolved.

    Args:
        graph: the graph.
        catalogue: the nodes there are.
        files: the models and pictures there are.
        targets: the nodes to run for; all output nodes when None.
        left_out: what muted and bypassed nodes took out of the graph; told where it leaves nothing to run for.
    """
    return _Check(graph, catalogue, Snapshot(files), left_out).run(None if targets is None else list(targets))


class _ClassPlan(NamedTuple):
    """What checking one class of node needs, worked out once however often the graph uses it."""

    spec: NodeSpec
    readers: dict[str, Reader]
    inputs: dict[str, InputSpec]
    defaults: dict[str, Any]
    required: tuple[str, ...]
    types: tuple[str, ...]


class _Check:
    def __init__(self, graph: Graph, catalogue: Catalogue, files: FileCatalogue, left_out: LeftOut) -> None:
        self._graph = graph
        self._left_out = left_out
        self._catalogue = catalogue
        self._files = files
        self._nearest = NearestNames()
        self._classes: dict[str, _ClassPlan | None] = {}

    def run(self, targets: list[str] | None) -> Checked:
        nodes = self._graph.nodes
        problems: list[Problem] = []
        warnings: list[Problem] = []
        outputs = self._outputs(targets, problems)
        strangers = [] if targets is not None else self._unknown_sinks()
        roots = outputs + strangers
        if not roots and targets is None:
            roots = list(nodes)
            message = "Nothing would come out of this workflow: add a node that saves or shows something."
            problems += self._left_out.reasons(self._outputs_left_out()) or [Problem("no_output_node", message)]
        needed, circular = upstream_first(nodes, roots)
        bound: dict[str, BoundNode] = {}
        for node_id in needed:
            node = self._bind(nodes[node_id], problems)
            if node is not None:
                bound[node_id] = node
        if len(needed) < len(nodes):
            for node in nodes.values():
                if node.id not in needed:
                    self._bind(node, warnings)
            if not circular:
                _, circular = upstream_first(nodes, list(nodes))
        if circular:
            for cycle in _cycles(nodes):
                (problems if cycle[0] in needed else warnings).append(_cycle_problem(cycle, nodes))
        return Checked(problems, warnings, bound, outputs)

    def _outputs(self, targets: list[str] | None, problems: list[Problem]) -> list[str]:
        nodes = self._graph.nodes
        if targets is None:
            return [node.id for node in nodes.values() if (plan := self._plan(node.class_type)) and plan.spec.output]
        problems += self._left_out.reasons(target for target in targets if target not in nodes)
        for target in targets:
            if target not in nodes and target not in self._left_out.nodes:
                message = f"There is no node {quoted(target)} to run for; name a node of the workflow."
                problems.append(Problem("dangling_link", message, target[:64]))
        return [target for target in targets if target in nodes]

    def _outputs_left_out(self) -> list[str]:
        """The nodes that would have been run for, had nothing been muted or bypassed."""
        classes = self._left_out.nodes.items()
        return [node for node, class_type in classes if (plan := self._plan(class_type)) and plan.spec.output]

    def _unknown_sinks(self) -> list[str]:
        """Nodes of unknown classes that feed nothing: for all we know they are what the workflow is for."""
        strangers = [node.id for node in self._graph.nodes.values() if self._plan(node.class_type) is None]
        if not strangers:
            return []
        fed = {link.node for node in self._graph.nodes.values() for _, link in node.links()}
        return [node_id for node_id in strangers if node_id not in fed]

    def _plan(self, class_type: str) -> _ClassPlan | None:
        if class_type in self._classes:
            return self._classes[class_type]
        plan: _ClassPlan | None = None
        if class_type in self._catalogue:
            spec, lax = self._catalogue[class_type], self._graph.tolerant
            plan = _ClassPlan(
                spec,
                {each.name: value_reader(each, self._files, self._nearest, converting=lax) for each in spec.inputs},
                {each.name: each for each in spec.inputs},
                {each.name: each.default for each in spec.inputs if each.default is not None or not each.required},
                tuple(each.name for each in spec.inputs if each.default is None and each.required),
                tuple(each.type for each in spec.outputs),
            )
        self._classes[class_type] = plan
        return plan

    def _bind(self, node: GraphNode, problems: list[Problem]) -> BoundNode | None:
        plan = self._plan(node.class_type)
        if plan is None:
            problems.append(self._unknown_node(node))
            return None
        values = plan.defaults.copy()
        links: dict[str, Link] = {}
        given = node.inputs
        nodes, classes = self._graph.nodes, self._classes
        for name, value in given.items():
            if type(value) is Link:
                source = nodes.get(value.node)
                upstream = classes.get(source.class_type) if source is not None else None
                declared = plan.inputs.get(name)
                if (
                    upstream is not None
                    and declared is not None
                    and 0 <= value.output < len(upstream.types)
                    and upstream.types[value.output] == declared.type
                ) or self._link_fits(node, plan, name, value, problems):
                    links[name] = value
                    values.pop(name, None)
                continue
            reader = plan.readers.get(name)
            if reader is None:
                self._unknown_input(node, plan, name, problems)
                continue
            if value is None and name in values and values[name] is None:
                continue
            read = reader(value)
            if type(read) is Bad:
                message = f"{name!r} of node {_called(node)} {read.message}."
                problems.append(Problem(read.code, message, node.id, node.class_type, name, read.details))
            else:
                values[name] = read
        problems.extend(_missing(node, plan.inputs[name]) for name in plan.required if name not in given)
        return BoundNode(node.id, plan.spec, values, links)

    def _unknown_node(self, node: GraphNode) -> Problem:
        names = self._nearest(node.class_type, self._catalogue.names())
        hint = nearest_are(names) or "; install the pack that has it, or replace the node"
        message = f"There is no node {quoted(node.class_type)} (node {node.id!r}){hint}."
        return Problem("unknown_node", message, node.id, node.class_type, details={"nearest": names})

    def _unknown_input(self, node: GraphNode, plan: _ClassPlan, name: str, problems: list[Problem]) -> None:
        if self._graph.tolerant or name in EDITOR_ONLY_INPUTS:
            return
        names = self._nearest(name, tuple(plan.inputs))
        hint = nearest_are(names) or "; remove it"
        message = f"Node {_called(node)} has no input {quoted(name)}{hint}."
        problems.append(Problem("unknown_input", message, node.id, node.class_type, name[:120], {"nearest": names}))

    def _link_fits(self, node: GraphNode, plan: _ClassPlan, name: str, link: Link, problems: list[Problem]) -> bool:
        declared = plan.inputs.get(name)
        if declared is None:
            self._unknown_input(node, plan, name, problems)
            return False
        where = (node.id, node.class_type, name)
        source = self._graph.nodes.get(link.node)
        if source is None:
            message = (
                f"{name!r} of node {_called(node)} is linked to node {quoted(link.node)}, which does not exist; "
                "remove the link, or link it to another node."
            )
            problems.append(Problem("dangling_link", message, *where, {"link": list(link)}))
            return False
        upstream = self._plan(source.class_type)
        if upstream is None:
            return False
        offered = upstream.spec.outputs
        if not 0 <= link.output < len(offered):
            message = (
                f"{name!r} of node {_called(node)} is linked to output {link.output} of node {_called(source)}, "
                f"which has {_count(len(offered), 'output')}; link one of those."
            )
            problems.append(Problem("bad_output_index", message, *where, {"link": list(link), "count": len(offered)}))
            return False
        given = offered[link.output].type
        if given != declared.type and not connects(given, declared.type):
            message = (
                f"{name!r} of node {_called(node)} takes {declared.type}, and is linked to an output of type {given} "
                f"of node {_called(source)}; link an output of type {declared.type}."
            )
            details = {"link": list(link), "expected": declared.type, "given": given}
            problems.append(Problem("type_mismatch", message, *where, details))
            return False
        return True


def _called(node: GraphNode) -> str:
    return f"{node.id!r} ({node.title or node.class_type})"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _missing(node: GraphNode, declared: InputSpec) -> Problem:
    remedy = f"link an output of type {declared.type} to it" if declared.widget is None else "give it a value"
    message = f"{declared.name!r} of node {_called(node)} is missing; {remedy}."
    return Problem("missing_input", message, node.id, node.class_type, declared.name, {"expected": declared.type})


def _cycle_problem(cycle: Sequence[str], nodes: Mapping[str, GraphNode]) -> Problem:
    shown = [repr(each) for each in cycle[:LISTED_CYCLE]]
    if len(cycle) > LISTED_CYCLE:
        shown.append(f"… ({len(cycle) - LISTED_CYCLE} more)")
    message = f"These nodes wait for each other in a circle: {' → '.join([*shown, repr(cycle[0])])}; remove one link."
    return Problem("cycle", message, cycle[0], nodes[cycle[0]].class_type, details={"nodes": list(cycle)})


def upstream_first(nodes: Mapping[str, GraphNode], roots: Sequence[str]) -> tuple[dict[str, None], bool]:
    """The nodes that the roots need, depth first, each after those it takes values from.

    Depth first keeps few intermediate values alive, and finishes one output before the next begins. The second
    value tells whether there is a cycle among them (then the order means nothing).
    """
    order: dict[str, None] = {}
    open_: set[str] = set()
    circular = False
    for root in roots:
        stack: list[tuple[str, bool]] = [(root, False)]
        while stack:
            node_id, entered = stack.pop()
            if entered:
                open_.discard(node_id)
                order[node_id] = None
                continue
            if node_id in order or node_id in open_:
                continue
            open_.add(node_id)
            stack.append((node_id, True))
            for value in reversed(list(nodes[node_id].inputs.values())):
                if type(value) is Link and value.node not in order and value.node in nodes:
                    if value.node in open_:
                        circular = True
                    else:
                        stack.append((value.node, False))
    return order, circular


def _cycles(nodes: Mapping[str, GraphNode]) -> list[list[str]]:
    """One cycle out of each tangle of cycles, its nodes in the order in which values would flow."""
    import networkx

    graph = cast("Any", networkx.DiGraph())
    graph.add_nodes_from(nodes)
    graph.add_edges_from(
        (link.node, node.id) for node in nodes.values() for _, link in node.links() if link.node in nodes
    )
    position = {node_id: index for index, node_id in enumerate(nodes)}
    return [
        _one_cycle(min(tangle, key=position.__getitem__), tangle, nodes, position)
        for tangle in networkx.strongly_connected_components(graph)
        if len(tangle) > 1 or any(graph.has_edge(each, each) for each in tangle)
    ]


def _one_cycle(start: str, tangle: set[str], nodes: Mapping[str, GraphNode], position: Mapping[str, int]) -> list[str]:
    """Walk upstream within a tangle, where every node has a link to go on by, until a node comes up again."""
    walked: dict[str, int] = {}
    here = start
    while here not in walked:
        walked[here] = len(walked)
        here = next(link.node for _, link in nodes[here].links() if link.node in tangle)
    cycle = [each for each, index in walked.items() if index >= walked[here]][::-1]
    first = cycle.index(min(cycle, key=position.__getitem__))
    return cycle[first:] + cycle[:first]
