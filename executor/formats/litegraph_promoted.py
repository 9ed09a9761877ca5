"""The values that a subgraph instance of a ComfyUI editor file holds for widgets inside of it.

They are listed by position. Without more, they belong to the inputs that end at a widget inside, in the definition's
order. An instance with the property `proxyWidgets` shows its widgets in that order, and widgets of inner nodes that no
input leads to as well; inputs that it doesn't name come first. A null, or a value that is not there, leaves the inner
node's own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple, cast

from executor.formats.litegraph_scopes import BORDER_IN, Scope, entries, member
from executor.formats.litegraph_widgets import SEED_CONTROLS
from executor.problems import JsonObject

OWN = "-1"
"""Stands for the instance where a proxy says whose widget it shows."""
PREVIEW = "$$"
"""Begins the names of widgets that only show a picture."""
MAX_PROXIES_TEXT = 1 << 20
_FOREIGN = re.compile(r"^\s*-?\d+\s*:\s*")

Inner = tuple[str, str]
"""A widget of a node inside: the node's id as a text, and the widget's name."""


class Literal(NamedTuple):
    """A value that a primitive node or a subgraph instance feeds to an input."""

    value: Any


class _Held(NamedTuple):
    """The values of an instance: by the slot of its inputs, and by node and name for widgets that none leads to."""

    slots: dict[int, Any]
    inside: dict[str, JsonObject]


class Instances:
    """What is written on the subgraph instances of a file."""

    def __init__(self, scopes: dict[str, Scope]) -> None:
        self._scopes = scopes
        self._promotions: dict[str, tuple[bool, ...]] = {}
        self._held: dict[str, _Held] = {}

    def inputs_of(self, scope: Scope, raw: JsonObject) -> list[JsonObject]:
        """The inputs of a node; those of a subgraph instance in the definition's order, unlinked ones included."""
        written = entries(raw.get("inputs"))
        inner = self._scopes.get(scope.child_path(raw))
        if inner is None or not inner.border:
            return written
        found: dict[int, JsonObject] = {}
        for members in (("name", "type"), ("name",)):
            for slot, declared in enumerate(inner.border):
                same = (each for each in written if all(each.get(name) == declared.get(name) for name in members))
                if slot not in found and (match := next(same, None)) is not None:
                    found[slot] = match
                    written.remove(match)
        return [found.get(slot, {**declared, "link": None}) for slot, declared in enumerate(inner.border)]

    def own_value(self, scope: Scope, raw: JsonObject, slot: int) -> Literal | None:
        """The value of a widget on a subgraph instance, where the file holds one; the inner node's counts otherwise."""
        inner = self._scopes.get(scope.child_path(raw))
        if inner is None:
            return None
        around = self.inside(scope, raw)
        name = str(self.inputs_of(scope, raw)[slot].get("name"))
        values = self._values(inner).slots
        return Literal(around[name]) if name in around else Literal(values[slot]) if slot in values else None

    def inside(self, scope: Scope, raw: JsonObject) -> JsonObject:
        """The values for widgets of a node that the instance around it holds, by their names."""
        if scope.instance is None:
            return {}
        return self._values(scope).inside.get(str(raw["id"]), {})

    def _values(self, inner: Scope) -> _Held:
        if inner.path not in self._held:
            self._held[inner.path] = self._read(inner)
        return self._held[inner.path]

    def _read(self, inner: Scope) -> _Held:
        parent, raw = inner.parent, inner.instance
        values: Any = {} if raw is None else raw.get("widgets_values")
        if parent is None or raw is None or not isinstance(values, list):
            return _Held({}, {})
        given = cast("list[Any]", values)
        inputs = self.inputs_of(parent, raw)
        promoted = self._promoted(inner, len(inputs))
        nodes = {str(node): each for node, each in inner.nodes.items()}
        shown = [self._slot_of(inner, inputs, nodes, *proxy) for proxy in _proxies(raw)]
        named = set(shown)
        unnamed = [slot for slot, is_promoted in enumerate(promoted) if is_promoted and slot not in named]
        if not shown or len(given) > len(unnamed) + len(shown):
            return _Held(_in_order(inputs, promoted, given), {})
        held = _Held({}, {})
        for target, value in zip([*unnamed, *shown], given, strict=False):
            if value is None:
                continue
            if isinstance(target, int):
                held.slots[target] = value
            else:
                held.inside.setdefault(target[0], {})[target[1]] = value
        return held

    def _slot_of(
        self, inner: Scope, inputs: list[JsonObject], nodes: dict[str, JsonObject], node: str, name: str
    ) -> int | Inner:
        """The input that a proxy stands for, or the widget inside where no input leads to it."""
        if node == OWN:
            named = (slot for slot, each in enumerate(inputs) if each.get("name") == name)
            return next(named, (node, name))
        for each in self.inputs_of(inner, nodes[node]) if node in nodes else []:
            link = each.get("link")
            wire = inner.wires.get(link) if isinstance(link, str | int) else None
            if input_name(each) == name and wire is not None and wire.origin == BORDER_IN:
                return wire.origin_slot
        return node, name

    def _promoted(self, inner: Scope, count: int) -> tuple[bool, ...]:
        """For each input of an instance whether it has a widget: whether it ends at one inside."""
        if inner.path not in self._promotions:
            found = [False] * count
            for link, wire in inner.wires.items():
                if wire.origin == BORDER_IN and 0 <= wire.origin_slot < count and self._ends_at_widget(inner, link):
                    found[wire.origin_slot] = True
            self._promotions[inner.path] = tuple(found)
        return self._promotions[inner.path]

    def _ends_at_widget(self, scope: Scope, link: Any) -> bool:
        raw = scope.nodes.get(scope.wires[link].target)
        if raw is None:
            return False
        inputs = self.inputs_of(scope, raw)
        index = next((index for index, each in enumerate(inputs) if each.get("link") == link), None)
        if index is None:
            return False
        inner = self._scopes.get(scope.child_path(raw))
        return "widget" in inputs[index] if inner is None else self._promoted(inner, len(inputs))[index]


def input_name(slot: JsonObject) -> str:
    """The name of an input as its node declares it: that of its widget, where it was made from one."""
    return str(member(slot, "widget").get("name") or slot.get("name"))


def _proxies(raw: JsonObject) -> list[Inner]:
    """Whose widgets an instance shows, in order; none where it shows nothing but pictures that way."""
    written: Any = member(raw, "properties").get("proxyWidgets")
    if isinstance(written, str) and len(written) <= MAX_PROXIES_TEXT:
        try:  # the first versions wrote the list as a text
            written = json.loads(written)
        except (ValueError, RecursionError):
            return []
    found = list(_pairs(cast("list[Any]", written) if isinstance(written, list) else []))
    return found if any(not name.startswith(PREVIEW) for _, name in found) else []


def _pairs(written: list[Any]) -> Iterator[Inner]:
    """Node and widget of each proxy. Older names begin with the ids of nodes further inside, as in `12: 5: seed`."""
    for each in written:
        if isinstance(each, list) and len(cast("list[Any]", each)) >= 2:
            node, name = cast("list[Any]", each)[:2]
            text = str(name)
            while match := _FOREIGN.match(text):
                text = text[match.end() :]
            yield str(node), text


def _in_order(inputs: list[JsonObject], promoted: tuple[bool, ...], given: list[Any]) -> dict[int, Any]:
    """The values in the definition's order, past what a seed's control may have left between them."""
    found: dict[int, Any] = {}
    place, controls = 0, len(given) > sum(promoted)
    for slot, is_promoted in enumerate(promoted):
        if is_promoted and place < len(given):
            if given[place] is not None:
                found[slot] = given[place]
            place += 1
            if controls and inputs[slot].get("type") == "INT" and _is_control(given, place):
                place += 1
    return found


def _is_control(values: list[Any], place: int) -> bool:
    return place < len(values) and isinstance(values[place], str) and values[place] in SEED_CONTROLS
