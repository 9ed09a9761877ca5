"""The nodes and links of a ComfyUI editor file, as they are written: those of the file and of each subgraph instance.

A subgraph definition is instantiated by a node whose type is its id. Inside, links that come from node −10 are the
instance's inputs, and links that go to node −20 its outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from executor.formats.document import MAX_NODES, refuse
from executor.problems import JsonObject

BORDER_IN, BORDER_OUT = -10, -20
MAX_DEPTH = 32
FARTHEST = 1e9
"""No node stands beyond; a place that does is damaged, and might be more than a float can hold."""
MUTED, BYPASSED = 2, 4
NOTES = frozenset({"Note", "MarkdownNote"})
"""Types of nodes that only hold a text for people."""


class Wire(NamedTuple):
    """A link of the file: an output slot of one node to an input slot of another."""

    origin: Any
    origin_slot: int
    target: Any
    target_slot: int


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """The file itself, or one instance of a subgraph in it.

    `path` is the ids of the instances that lead here, joined by `:`; `shift` moves its nodes to where the instance
    stands; `mode` is the instance's, which its nodes take on; `border` is the inputs that the definition declares;
    `frames` are the groups on its canvas.
    """

    path: str
    nodes: dict[Any, JsonObject]
    wires: dict[Any, Wire]
    definitions: dict[str, JsonObject]
    parent: Scope | None = None
    instance: JsonObject | None = None
    shift: tuple[float, float] = (0.0, 0.0)
    mode: int = 0
    border: tuple[JsonObject, ...] = ()
    frames: tuple[JsonObject, ...] = ()

    def id_of(self, node: Any) -> str:
        """The id of one of its nodes in the native document."""
        return f"{self.path}:{node}" if self.path else str(node)

    def child_path(self, raw: JsonObject) -> str:
        return self.id_of(raw["id"])


def open_scopes(body: JsonObject) -> dict[str, Scope]:
    """The file's scope and those of all subgraph instances, by path, outer ones first.

    Raises:
        BadDocument: a subgraph contains itself, or there are too many nodes.
    """
    listed = entries(member(body, "definitions").get("subgraphs"))
    definitions = {str(each["id"]): each for each in listed if "id" in each}
    scopes = {"": _scope("", body, definitions)}
    pending = [scopes[""]]
    count = 0
    while pending:
        scope = pending.pop()
        count += len(scope.nodes) + len(scope.frames)
        if count > MAX_NODES:
            refuse("too_large", f"With its subgraphs the workflow has more than {MAX_NODES:,} nodes and groups.")
        for raw in scope.nodes.values():
            definition = definitions.get(str(raw["type"]))
            if definition is None:
                continue
            path = scope.child_path(raw)
            if path.count(":") >= MAX_DEPTH:
                refuse(
                    "bad_document", f"The subgraph {definition.get('name', '')!r} contains itself, or nests too deeply."
                )
            scopes[path] = _scope(path, definition, definitions, scope, raw)
            pending.append(scopes[path])
    return scopes


def _scope(
    path: str,
    body: JsonObject,
    definitions: dict[str, JsonObject],
    parent: Scope | None = None,
    instance: JsonObject | None = None,
) -> Scope:
    nodes = {each["id"]: each for each in entries(body.get("nodes")) if _is_node(each)}
    links: Any = body.get("links")
    wires = dict(filter(None, map(_wire, cast("list[Any]", links) if isinstance(links, list) else [])))
    frames = tuple(entries(body.get("groups")))
    if parent is None or instance is None:
        return Scope(path, nodes, wires, definitions, frames=frames)
    places = [place_of(each) for each in nodes.values()] or [(0.0, 0.0)]
    left, top = min(x for x, _ in places), min(y for _, y in places)
    x, y = place_of(instance)
    shift = (x + parent.shift[0] - left, y + parent.shift[1] - top)
    mode = mode_of(instance) or parent.mode
    border = tuple(entries(body.get("inputs")))
    return Scope(path, nodes, wires, definitions, parent, instance, shift, mode, border, frames)


def _is_node(raw: JsonObject) -> bool:
    return isinstance(raw.get("id"), str | int) and isinstance(raw.get("type"), str)


def mode_of(raw: JsonObject) -> int:
    """A node's mode by litegraph's numbers: 0 normal, 2 muted, 4 bypassed."""
    mode: Any = raw.get("mode")
    return mode if isinstance(mode, int) else 0


def _wire(raw: Any) -> tuple[Any, Wire] | None:
    """A link of either version: `[id, from, slot, to, slot, type]`, or an object."""
    if isinstance(raw, list) and len(cast("list[Any]", raw)) >= 5:
        link, origin, origin_slot, target, target_slot = cast("list[Any]", raw)[:5]
    elif isinstance(raw, dict):
        fields = cast("JsonObject", raw)
        names = ("id", "origin_id", "origin_slot", "target_id", "target_slot")
        link, origin, origin_slot, target, target_slot = (fields.get(name) for name in names)
    else:
        return None
    if not isinstance(origin_slot, int) or not isinstance(target_slot, int):
        return None
    if not all(isinstance(each, str | int) for each in (link, origin, target)):
        return None
    return link, Wire(origin, origin_slot, target, target_slot)


def place_of(raw: JsonObject) -> tuple[float, float]:
    """Where a node stands."""
    return pair_of(raw.get("pos")) or (0.0, 0.0)


def pair_of(value: object) -> tuple[float, float] | None:
    """A place or a size; files write it as a list or as an object with the keys 0 and 1."""
    if isinstance(value, dict):
        value = [cast("JsonObject", value).get("0"), cast("JsonObject", value).get("1")]
    if isinstance(value, list) and len(cast("list[Any]", value)) >= 2:
        x, y = cast("list[Any]", value)[:2]
        if all(isinstance(each, int | float) and abs(each) < FARTHEST for each in (x, y)):
            return float(x), float(y)
    return None


def entries(value: object) -> list[JsonObject]:
    """The objects of a list; none of anything else."""
    listed = cast("list[Any]", value) if isinstance(value, list) else []
    return [cast("JsonObject", each) for each in listed if isinstance(each, dict)]


def member(of: Mapping[str, Any], name: str) -> JsonObject:
    """A member that is an object; an empty one where it is anything else."""
    value: Any = of.get(name)
    return cast("JsonObject", value) if isinstance(value, dict) else {}
