"""Turns the group nodes of ComfyUI editor files, which subgraphs replaced, into subgraphs.

A group node's type is `workflow>name` (at first `workflow/name`), and `extra.groupNodes` holds the nodes in it, which
have their place in that list for an id. What it shows is not written down but follows from them: the inputs that
nothing inside feeds, sockets first and converted widgets last; the outputs that feed nothing inside; and the values of
all widgets, in the same order. Each group node gets a definition of its own here, which holds its values.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, cast

from executor.formats.document import MAX_NODES, refuse
from executor.formats.litegraph_scopes import BORDER_IN, BORDER_OUT, NOTES, entries, member
from executor.formats.litegraph_widgets import SEED_CONTROLS, SEED_NAMES, widgets
from executor.problems import JsonObject
from nodes.sdk.spec import Catalogue

PREFIXES = ("workflow>", "workflow/")
NAMELESS = frozenset({"PrimitiveNode"}) | NOTES
"""Types of nodes with one value, which has no name."""


class _Slot(NamedTuple):
    """An input that a group node shows: its name there, the node inside, and the place among that node's inputs."""

    name: str
    node: int
    place: int
    widget: str | None


class _Link(NamedTuple):
    origin: int
    origin_slot: int
    target: int
    target_slot: int


def without_groups(body: JsonObject, catalogue: Catalogue) -> JsonObject:
    """The file with its group nodes made instances of subgraphs; itself when it has none.

    Group nodes inside of group nodes stay as they are.

    Raises:
        BadDocument: there are too many nodes.
    """
    groups = member(member(body, "extra"), "groupNodes")
    if not groups:
        return body
    nodes: list[JsonObject] = []
    count = 0
    definitions = entries(member(body, "definitions").get("subgraphs"))
    for raw in entries(body.get("nodes")):
        kind = str(raw.get("type"))
        group = member(groups, kind[len(PREFIXES[0]) :]) if kind.startswith(PREFIXES) else {}
        if group:
            count += len(entries(group.get("nodes")))
            if count > MAX_NODES:
                refuse("too_large", f"With its group nodes the workflow has more than {MAX_NODES:,} nodes.")
            made = _Group(group, catalogue)
            kind = f"{kind}#{raw.get('id')}"
            definitions.append({"id": kind, "name": kind, **made.definition(raw)})
            raw = {**raw, "type": kind, "inputs": made.inputs(raw), "widgets_values": []}
        nodes.append(raw)
    return {**body, "nodes": nodes, "definitions": {"subgraphs": definitions}}


class _Group:
    def __init__(self, group: JsonObject, catalogue: Catalogue) -> None:
        self._nodes = entries(group.get("nodes"))
        self._config = member(group, "config")
        self._catalogue = catalogue
        self._links = [link for each in _lists(group.get("links")) if (link := _link(each, len(self._nodes)))]
        self._external = {tuple(each[:2]) for each in _lists(group.get("external")) if _are_numbers(each[:2])}
        self._fed = {(link.target, link.target_slot) for link in self._links}
        self._feeding = {(link.origin, link.origin_slot) for link in self._links}
        self._shown = [index for index, each in enumerate(self._nodes) if self._is_shown(index, each)]
        self._slots = list(self._open_inputs())

    def inputs(self, instance: JsonObject) -> list[JsonObject]:
        """The inputs of an instance in the order of the definition's, and under their names."""
        written = entries(instance.get("inputs"))
        named = {str(each.get("name")): each for each in written}
        sockets = [each for each in written if "widget" not in each]
        placed = len(sockets) == sum(slot.widget is None for slot in self._slots)
        found: list[JsonObject] = []
        for place, slot in enumerate(self._slots):
            each = sockets[place] if placed and slot.widget is None else named.get(slot.name, {})
            found.append({"name": str(place), "type": self._type(slot), "link": each.get("link")})
        return found

    def definition(self, instance: JsonObject) -> JsonObject:
        """The nodes, links and inputs of the subgraph that stands for an instance."""
        links = [*self._links]
        links += [_Link(BORDER_IN, place, slot.node, slot.place) for place, slot in enumerate(self._slots)]
        links += [_Link(*end, BORDER_OUT, place) for place, end in enumerate(self._open_outputs())]
        values = self._values(instance)
        into = {(link.target, link.target_slot): number for number, link in enumerate(links)}
        nodes = [
            {**raw, "id": index, "inputs": self._linked(index, into), "widgets_values": values[index]}
            for index, raw in enumerate(self._nodes)
        ]
        inputs = [{"name": str(place), "type": self._type(slot)} for place, slot in enumerate(self._slots)]
        return {"nodes": nodes, "links": [[number, *link, "*"] for number, link in enumerate(links)], "inputs": inputs}

    def _is_shown(self, index: int, raw: JsonObject) -> bool:
        """Whether a node has any part in what the group shows; reroutes and primitives may be there for its inside."""
        if raw.get("type") == "Reroute":
            through = (index, 0) in self._fed and (index, 0) in self._feeding
            return not through or (index, 0) in self._external
        if raw.get("type") == "PrimitiveNode":
            return (index, 0) in self._feeding
        return raw.get("type") not in NOTES

    def _inputs_of(self, index: int) -> list[JsonObject]:
        return entries(self._nodes[index].get("inputs"))

    def _converted(self, index: int) -> list[tuple[int, str]]:
        """The widgets of a node that were made inputs. Their places are sorted as texts: `10` before `9`."""
        named = enumerate(member(each, "widget").get("name") for each in self._inputs_of(index))
        return sorted(((place, name) for place, name in named if isinstance(name, str)), key=lambda each: str(each[0]))

    def _open_inputs(self) -> Iterator[_Slot]:
        seen: dict[str, int] = {}
        for index in self._shown:
            for place, each in enumerate(self._inputs_of(index)):
                if "widget" in each or (index, place) in self._fed:
                    continue
                is_reroute = self._kind(index) == "Reroute"
                name = self._type(_Slot("", index, place, None)) if is_reroute else str(each.get("name"))
                shown = self._name(index, name, seen)
                if self._setting(index, "input", name).get("visible") is not False:
                    yield _Slot(shown, index, place, None)
        for index in self._shown:
            for place, name in self._converted(index):
                if (index, place) not in self._fed:
                    yield _Slot(self._name(index, name, seen), index, place, name)

    def _open_outputs(self) -> Iterator[tuple[int, int]]:
        for index in self._shown:
            for slot in range(len(entries(self._nodes[index].get("outputs")))):
                inside = (index, slot) in self._feeding and (index, slot) not in self._external
                visible = self._setting(index, "output", str(slot)).get("visible")
                if (not inside) if visible is None else visible:
                    yield index, slot

    def _name(self, index: int, name: str, seen: dict[str, int]) -> str:
        """The name of an input on the group node: its own, with the node's before it when it is taken."""
        raw = self._nodes[index]
        label = next((each.get("label") for each in self._inputs_of(index) if each.get("name") == name), None)
        key = shown = str(self._setting(index, "input", name).get("name") or label or name)
        if shown in seen:
            prefix = f"{raw.get('title') or raw.get('type')} "
            key = shown = f"{prefix}{name}"
            if shown in seen:
                shown = f"{prefix}{seen[shown]} {name}"
        seen[key] = seen.get(key, 1) + 1
        return shown

    def _values(self, instance: JsonObject) -> list[Any]:
        """The values of the widgets of each node inside, the instance's where it has one."""
        given: Any = instance.get("widgets_values")
        left = [*cast("list[Any]", given)] if isinstance(given, list) else []
        found: list[Any] = []
        for raw in self._nodes:
            own: Any = raw.get("widgets_values")
            read = [*cast("list[Any]", own)] if isinstance(own, list) else []
            kind = str(raw.get("type"))
            marked = {**raw, "widgets_values": ["" if each is None else each for each in read]}
            found.append(
                {"value": read[0] if read else ""}
                if kind in NAMELESS
                else widgets(marked, kind, self._catalogue.get(kind))[0]
            )
        late = {index: [name for _, name in self._converted(index)] for index in self._shown}
        turns = [(index, name) for index in self._shown for name in found[index] if name not in late[index]]
        turns += [(slot.node, slot.widget) for slot in self._slots if slot.widget in found[slot.node]]
        for index, name in turns:
            if not left:
                break
            value = left.pop(0)
            if value is not None:
                found[index][name] = value
            counted = name in SEED_NAMES or self._kind(index) == "PrimitiveNode"
            if counted and left and isinstance(left[0], str) and left[0] in SEED_CONTROLS:
                left.pop(0)
        return [[*each.values()] if self._kind(index) in NAMELESS else each for index, each in enumerate(found)]

    def _linked(self, index: int, into: dict[tuple[int, int], int]) -> list[JsonObject]:
        return [{**each, "link": into.get((index, place))} for place, each in enumerate(self._inputs_of(index))]

    def _type(self, slot: _Slot) -> str:
        """The type of an input; of a reroute's, which takes all, that of what it feeds."""
        if self._kind(slot.node) == "Reroute":
            for link in self._links:
                inputs = self._inputs_of(link.target)
                if link.origin == slot.node and link.target_slot < len(inputs):
                    return str(inputs[link.target_slot].get("type"))
        return str(self._inputs_of(slot.node)[slot.place].get("type"))

    def _kind(self, index: int) -> str:
        return str(self._nodes[index].get("type"))

    def _setting(self, index: int, side: str, name: str) -> JsonObject:
        return member(member(member(self._config, str(index)), side), name)


def _link(raw: list[Any], count: int) -> _Link | None:
    """A link inside a group; None of one that comes from outside, or is damaged."""
    if len(raw) < 4 or not _are_numbers(raw[:4]):
        return None
    link = _Link(*raw[:4])
    return link if 0 <= link.origin < count and 0 <= link.target < count else None


def _are_numbers(values: list[Any]) -> bool:
    return all(isinstance(each, int) for each in values)


def _lists(value: object) -> list[list[Any]]:
    listed = cast("list[Any]", value) if isinstance(value, list) else []
    return [cast("list[Any]", each) for each in listed if isinstance(each, list)]
