"""Turns the group nodes of ComfyUI editor files, which subgraphs replaced, into subgraphs.

A group node's type is `workflow>name` (at first `workflow/name`), and `extra.groupNodes` holds the nodes in it, which
have their place in that list for an id. What it shows is not written down but follows from them: the inputs that
nothing inside feeds, sockets first and converted widgets last; the outputs that feed nothing inside; and the values of
all widgets, in the same order. Each group node gets a definition of its own here, which holds its values.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any, NamedTuple, cast

from executor.formats.document import MAX_NODES, refuse
from executor.formats.litegraph_scopes import BORDER_IN, BORDER_OUT, MAX_DEPTH, NOTES, entries, member
from executor.formats.litegraph_widgets import SEED_CONTROLS, SEED_NAMES, widgets
from executor.problems import LONGEST_NAME, JsonObject
from nodes.sdk.spec import Catalogue

PREFIXES = ("workflow>", "workflow/")
NAMELESS = frozenset({"PrimitiveNode"}) | NOTES
"""Types of nodes with one value, which has no name."""
NESTED = ""
"""The name under which all values of a group node inside of another are kept."""


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
    """The file with its group nodes made instances of subgraphs, those inside of others too; itself when it has none.

    Raises:
        BadDocument: a group contains itself, or there are too many nodes.
    """
    groups = member(member(body, "extra"), "groupNodes")
    if not groups:
        return body
    nodes: list[JsonObject] = []
    count = 0
    sizes = _Sizes(groups)
    definitions = entries(member(body, "definitions").get("subgraphs"))
    for raw in entries(body.get("nodes")):
        name = _group_name(raw, groups)
        if name is not None:
            count += sizes.of(name)[0]
            if count > MAX_NODES:
                refuse("too_large", f"With its group nodes the workflow has more than {MAX_NODES:,} nodes.")
            kind = f"{raw['type']}#{raw.get('id')}"
            raw = _opened(raw, _Group(groups, name, catalogue), kind, definitions)
        nodes.append(raw)
    return {**body, "nodes": nodes, "definitions": {"subgraphs": definitions}}


def _group_name(raw: JsonObject, groups: JsonObject) -> str | None:
    """The group that a node stands for; None of any other node."""
    kind = str(raw.get("type"))
    name = kind[len(PREFIXES[0]) :]
    return name if kind.startswith(PREFIXES) and member(groups, name) else None


def _opened(raw: JsonObject, group: _Group, kind: str, definitions: list[JsonObject]) -> JsonObject:
    """A group node as an instance of a subgraph, whose definition is added to those there are."""
    made = group.definition(raw)
    inner = [
        _opened(each, group.nested[index], f"{kind}:{index}", definitions) if index in group.nested else each
        for index, each in enumerate(made["nodes"])
    ]
    definitions.append({"id": kind, "name": kind, **made, "nodes": inner})
    return {**raw, "type": kind, "inputs": group.inputs(raw), "widgets_values": []}


class _Sizes:
    """How many nodes groups stand for, and how deep they nest."""

    def __init__(self, groups: JsonObject) -> None:
        self._groups = groups
        self._known: dict[str, tuple[int, int]] = {}

    def of(self, name: str, depth: int = 0) -> tuple[int, int]:
        height = self._known.get(name, (0, 0))[1]
        if depth + height >= MAX_DEPTH:
            refuse("bad_document", f"The group {name[:LONGEST_NAME]!r} contains itself, or nests too deeply.")
        if name not in self._known:
            size = 0
            for raw in entries(member(self._groups, name).get("nodes")):
                inner = _group_name(raw, self._groups)
                within, below = (0, 0) if inner is None else self.of(inner, depth + 1)
                size, height = size + within + 1, max(height, below + 1)
            self._known[name] = size, height
        return self._known[name]


class _Group:
    """A use of a group. `nested` are the groups in it, by their place."""

    def __init__(self, groups: JsonObject, name: str, catalogue: Catalogue) -> None:
        group = member(groups, name)
        self._nodes = entries(group.get("nodes"))
        inner = ((index, _group_name(raw, groups)) for index, raw in enumerate(self._nodes))
        self.nested = {index: _Group(groups, of, catalogue) for index, of in inner if of is not None}
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
        given: Any = instance.get("widgets_values")
        values, _ = self.read(cast("list[Any]", given) if isinstance(given, list) else [])
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

    def read(self, given: list[Any], place: int = 0) -> tuple[list[Any], int]:
        """The values of the widgets of each node inside: those in a list from a place on, the nodes' own where it has
        none. With it comes the place behind them."""
        found: list[Any] = []
        for index, raw in enumerate(self._nodes):
            own: Any = raw.get("widgets_values")
            read = [*cast("list[Any]", own)] if isinstance(own, list) else []
            kind = str(raw.get("type"))
            if index in self.nested:
                found.append({NESTED: read})
                continue
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
            if place >= len(given):
                break
            if index in self.nested:
                before, (_, place) = place, self.nested[index].read(given, place)
                found[index][NESTED] = _either(given[before:place], found[index][NESTED])
                continue
            if given[place] is not None:
                found[index][name] = given[place]
            place += 1
            counted = name in SEED_NAMES or self._kind(index) == "PrimitiveNode"
            if counted and place < len(given) and isinstance(given[place], str) and given[place] in SEED_CONTROLS:
                place += 1
        values = [
            each[NESTED] if index in self.nested else [*each.values()] if self._kind(index) in NAMELESS else each
            for index, each in enumerate(found)
        ]
        return values, place

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


def _either(values: list[Any], others: list[Any]) -> list[Any]:
    """Values, and others in the place of those that are not there."""
    return [other if value is None else value for value, other in zip_longest(values, others)]


def _are_numbers(values: list[Any]) -> bool:
    return all(isinstance(each, int) for each in values)


def _lists(value: object) -> list[list[Any]]:
    listed = cast("list[Any]", value) if isinstance(value, list) else []
    return [cast("list[Any]", each) for each in listed if isinstance(each, list)]
