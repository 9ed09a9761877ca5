"""The graph of a document: nodes with their literals and links, free of everything only the editor needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, cast

from executor.formats.document import MAX_DEPTH, MAX_TEXT_BYTES, Document
from executor.problems import JsonObject, Problem, quoted

LONGEST_ID = 200
MODES = ("normal", "mute", "bypass")


class Link(NamedTuple):
    """The output of another node, plugged into an input."""

    node: str
    output: int


class GraphNode(NamedTuple):
    """A node as the document wires it. A value of `inputs` is a `Link` or a JSON literal. `passes` names, by the number
    of an output, the input that stands in for it while the node is bypassed; None when nothing does.

    Named tuples, not dataclasses, because a graph holds tens of thousands and creating one costs a third.
    """

    id: str
    class_type: str
    inputs: Mapping[str, Any]
    title: str | None = None
    mode: str = "normal"
    passes: Mapping[str, str | None] = MappingProxyType({})

    def links(self) -> Iterator[tuple[str, Link]]:
        """The linked inputs by name."""
        return ((name, value) for name, value in self.inputs.items() if type(value) is Link)


class Graph(NamedTuple):
    """Nodes by id, in the order of the document. `tolerant` graphs, which come from ComfyUI, may carry inputs that
    their nodes don't have, and literals of another type than their inputs."""

    nodes: Mapping[str, GraphNode]
    tolerant: bool = False

    def to_prompt(self) -> JsonObject:
        """The graph as a ComfyUI API prompt."""
        prompt: JsonObject = {}
        for node in self.nodes.values():
            inputs = {name: _written(value) for name, value in node.inputs.items()}
            prompt[node.id] = {"class_type": node.class_type, "inputs": inputs}
            if node.title is not None:
                prompt[node.id]["_meta"] = {"title": node.title}
        return prompt


def parse(document: Document) -> tuple[Graph, list[Problem]]:
    """Turn a document into its graph, and list every entry that is malformed (those nodes are left out)."""
    nodes: dict[str, GraphNode] = {}
    problems: list[Problem] = []
    for node_id, entry in document.nodes.items():
        node = _node(node_id, entry, problems)
        if node is not None:
            nodes[node_id] = node
    return Graph(nodes, tolerant=document.origin == "prompt"), problems


def _node(node_id: str, entry: Any, problems: list[Problem]) -> GraphNode | None:
    if not 1 <= len(node_id) <= LONGEST_ID or not node_id.isprintable() or _unusable(node_id):
        allowed = f"1 to {LONGEST_ID} characters, no line breaks, quotes or backslashes, and no steps up as in ../x"
        message = f"The node id {quoted(node_id)} can't be used: write {allowed}."
        problems.append(Problem("bad_node_id", message, node=node_id[:LONGEST_ID]))
        return None
    fields = cast("JsonObject", entry) if isinstance(entry, dict) else {}
    class_type = fields.get("class_type")
    if not isinstance(class_type, str) or not class_type:
        problems.append(Problem("bad_document", f"Node {node_id!r} has no class_type: say which node it is.", node_id))
        return None
    given: Any = fields.get("inputs") or {}
    if not isinstance(given, dict):
        message = f'The "inputs" of node {node_id!r} must be an object with one entry for each input.'
        problems.append(Problem("bad_document", message, node_id, class_type))
        return None
    inputs: dict[str, Any] = {}
    for name, value in cast("JsonObject", given).items():
        kind = cast("type[Any]", type(value))
        if kind is list:
            if len(value) == 2 and type(value[0]) is str and type(value[1]) is int:
                inputs[name] = Link(value[0], value[1])
                continue
        elif kind is str:
            if len(value) * 4 > MAX_TEXT_BYTES and not _short_enough(node_id, class_type, name, value, problems):
                continue
        elif kind is dict and "__value__" in value:
            value = value["__value__"]
        if kind in (list, dict) and not _shallow(value):
            message = (
                f"The input {name!r} of node {node_id!r} is nested too deeply; at most {MAX_DEPTH} levels are read."
            )
            problems.append(Problem("bad_document", message, node_id, class_type, name))
            continue
        inputs[name] = value
    meta: Any = fields.get("_meta")
    if type(meta) is not dict:
        return GraphNode(node_id, class_type, inputs)
    title = cast("JsonObject", meta).get("title")
    mode = cast("JsonObject", meta).get("mode") or "normal"
    if mode not in MODES:
        message = f"The mode {quoted(mode)} of node {node_id!r} is not known; use normal, mute or bypass."
        problems.append(Problem("bad_document", message, node_id, class_type))
        mode = "normal"
    named = title if isinstance(title, str) else None
    passes: Any = cast("JsonObject", meta).get("passes")
    if type(passes) is not dict:
        return GraphNode(node_id, class_type, inputs, named, mode)
    return GraphNode(node_id, class_type, inputs, named, mode, cast("JsonObject", passes))


def _unusable(node_id: str) -> bool:
    """Whether an id could break the selectors by which the editor looks for nodes, or lead out of a folder if ever a
    file were named by it."""
    return '"' in node_id or "\\" in node_id or any(not part.strip(".") for part in node_id.split("/"))


def _short_enough(node_id: str, class_type: str, name: str, text: str, problems: list[Problem]) -> bool:
    size = len(text.encode("utf-8", "surrogatepass"))
    if size <= MAX_TEXT_BYTES:
        return True
    message = f"The text of {name!r} in node {node_id!r} has {size:,} bytes; shorten it to {MAX_TEXT_BYTES:,} or fewer."
    problems.append(Problem("too_large", message, node_id, class_type, name, {"bytes": size, "max": MAX_TEXT_BYTES}))
    return False


def _shallow(value: Any) -> bool:
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            if isinstance(outer, (list, dict))
            for inner in cast("list[Any]", outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return True
    return False


def _written(value: Any) -> Any:
    if type(value) is Link:
        return [value.node, value.output]
    return {"__value__": cast("list[Any]", value)} if type(value) is list else value
