"""The wiring of a ComfyUI editor file: which output an input is fed by, through reroutes and subgraph borders.

The inputs of a subgraph instance are told by their names, since the file leaves out those without a link.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

from executor.formats.litegraph_promoted import Instances, Literal, input_name
from executor.formats.litegraph_scopes import (
    BORDER_IN,
    BORDER_OUT,
    BYPASSED,
    MUTED,
    NOTES,
    Scope,
    Wire,
    entries,
    mode_of,
)
from executor.graph import Link
from executor.problems import JsonObject

ANYTHING = ("", "*", "0")
NORMAL = 0
VIRTUAL = frozenset({"Reroute", "PrimitiveNode"}) | NOTES
"""Types of nodes that become none of their own."""


class Place(NamedTuple):
    """An output of a node, in the scope where it stands."""

    scope: Scope
    raw: JsonObject
    slot: int


class Wires:
    """Follows links to where their values come from."""

    def __init__(self, scopes: dict[str, Scope], instances: Instances) -> None:
        self._scopes = scopes
        self._instances = instances
        self.routes: dict[str, dict[str, str | None]] = {}
        """For each bypassed node that was met: the input that stands in for an output, by the output's number."""

    def source(self, scope: Scope, raw: JsonObject, index: int) -> Link | Literal | None:
        """What feeds the `index`-th input of a node; None when the link ends nowhere."""
        inputs = self._instances.inputs_of(scope, raw)
        wanted = str(inputs[index].get("type") or "") if 0 <= index < len(inputs) else ""
        found = self._trace(scope, raw, index, wanted)
        if not isinstance(found, Place):
            return found
        link = Link(found.scope.id_of(found.raw["id"]), found.slot)
        if (mode_of(raw) or scope.mode) not in (MUTED, BYPASSED):
            self._note_routes(found, wanted)
        return link

    def _trace(self, scope: Scope, raw: JsonObject, index: int, wanted: str) -> Place | Literal | None:
        seen: set[tuple[str, Any, int]] = set()
        while True:
            at = (scope.path, raw["id"], index)
            inputs = self._instances.inputs_of(scope, raw)
            if at in seen or not 0 <= index < len(inputs):
                return None
            seen.add(at)
            link = inputs[index].get("link")
            wire = scope.wires.get(link) if isinstance(link, str | int) else None
            if wire is None:
                return self._instances.own_value(scope, raw, index)
            found, final = self._behind(scope, wire.origin, wire.origin_slot, wanted)
            if final or not isinstance(found, Place):
                return found
            scope, raw, index = found

    def _behind(self, scope: Scope, origin: Any, slot: int, wanted: str) -> tuple[Place | Literal | None, bool]:
        """The output at the end of a link, which is final, or the input (as a place) where the search goes on."""
        while True:
            if origin == BORDER_IN:
                if scope.parent is None or scope.instance is None:
                    return None, True
                return Place(scope.parent, scope.instance, slot), False
            raw = scope.nodes.get(origin)
            if raw is None:
                return None, True
            if raw["type"] == "Reroute":
                return Place(scope, raw, 0), False
            if raw["type"] == "PrimitiveNode":
                return self._of_primitive(scope, raw), True
            inner = self._scopes.get(scope.child_path(raw))
            if inner is None:
                return Place(scope, raw, slot), True
            if mode_of(raw) == MUTED:
                return self._inside_muted(inner, slot), True
            if mode_of(raw) == BYPASSED:
                passed = _passed_through(
                    self._instances.inputs_of(scope, raw), entries(raw.get("outputs")), slot, wanted
                )
                return (None if passed is None else Place(scope, raw, passed)), False
            wire = _leaving(inner, slot)
            if wire is None:
                return None, True
            scope, origin, slot = inner, wire.origin, wire.origin_slot

    def _inside_muted(self, inner: Scope, slot: int) -> Place | None:
        """The node that an output of a muted subgraph comes from, which is muted with it; so it can be told why nothing
        comes, and unmuting it brings the link back. None where the output is that of no such node."""
        while (wire := _leaving(inner, slot)) is not None:
            raw = inner.nodes.get(wire.origin)
            if raw is None or raw["type"] in VIRTUAL or mode_of(raw) not in (NORMAL, MUTED):
                return None
            nested = self._scopes.get(inner.child_path(raw))
            if nested is None:
                return Place(inner, raw, wire.origin_slot)
            inner, slot = nested, wire.origin_slot
        return None

    def _of_primitive(self, scope: Scope, raw: JsonObject) -> Literal | None:
        around = self._instances.inside(scope, raw)
        if "value" in around:
            return Literal(around["value"])
        values = raw.get("widgets_values")
        return Literal(cast("list[Any]", values)[0]) if isinstance(values, list) and values else None

    def _note_routes(self, place: Place, wanted: str) -> None:
        """Write down which inputs stand in for the outputs of bypassed nodes, as the last consumer's type has it."""
        found: Place | Literal | None = place
        while isinstance(found, Place) and (mode_of(found.raw) or found.scope.mode) == BYPASSED:
            scope, raw, slot = found
            routes = self.routes.setdefault(scope.id_of(raw["id"]), {})
            if str(slot) in routes:
                return
            inputs = self._instances.inputs_of(scope, raw)
            passed = _passed_through(inputs, entries(raw.get("outputs")), slot, wanted)
            routes[str(slot)] = None if passed is None else input_name(inputs[passed])
            found = None if passed is None else self._trace(scope, raw, passed, wanted)


def _leaving(scope: Scope, slot: int) -> Wire | None:
    """The link to an output of a subgraph."""
    return next((wire for wire in scope.wires.values() if (wire.target, wire.target_slot) == (BORDER_OUT, slot)), None)


def _passed_through(inputs: list[JsonObject], outputs: list[JsonObject], slot: int, wanted: str) -> int | None:
    """The input that a bypassed node hands on at an output, for a consumer of a type; None when none fits it."""
    if wanted in ANYTHING:
        return slot if 0 <= slot < len(inputs) else 0 if inputs else None
    types = [str(each.get("type") or "") for each in inputs]
    given = str(outputs[slot].get("type") or "") if 0 <= slot < len(outputs) else ""
    if 0 <= slot < len(types) and _fits(types[slot], given) and _fits(types[slot], wanted):
        return slot
    equal = (index for index, kind in enumerate(types) if kind == wanted)
    fitting = (index for index, kind in enumerate(types) if _fits(kind, wanted))
    return next(equal, next(fitting, None))


def _fits(one: str, other: str) -> bool:
    """Whether litegraph connects two types: they are equal but for case, share one of a list, or one takes all."""
    if one in ANYTHING or other in ANYTHING:
        return True
    return not set(one.lower().split(",")).isdisjoint(other.lower().split(","))
