"""Reads the files of ComfyUI's editor (litegraph JSON 0.4 and 1.0) into native documents.

Such a file keeps the values of a node's widgets by position, so reading one takes the catalogue. What only that editor
knows is resolved here: subgraphs and group nodes become their nodes, with ids `outer:inner`; reroutes and primitives
become what they stand for; notes become groups with a text.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from executor.bind import converted
from executor.formats.document import Document
from executor.formats.dynamic_prompts import DYNAMIC, said
from executor.formats.litegraph_groups import without_groups
from executor.formats.litegraph_promoted import Instances, Literal, input_name
from executor.formats.litegraph_scopes import NOTES, Scope, entries, member, mode_of, open_scopes, pair_of, place_of
from executor.formats.litegraph_widgets import widgets
from executor.formats.litegraph_wires import VIRTUAL, Wires
from executor.graph import Link
from executor.problems import JsonObject, Problem, quoted
from nodes.sdk.spec import Catalogue

MODES = {2: "mute", 4: "bypass"}
NOTE_SIZE = (300.0, 160.0)
"""Of a note whose file doesn't say."""


def as_native(document: Document, catalogue: Catalogue) -> Document:
    """The document itself, or what a file of ComfyUI's editor says, in the native format.

    Raises:
        BadDocument: the file of ComfyUI's editor is damaged.
    """
    if document.litegraph is None:
        return document
    body = without_groups(document.litegraph, catalogue)
    scopes = open_scopes(body)
    instances = Instances(scopes)
    wires = Wires(scopes, instances)
    nodes: dict[str, Any] = {}
    notes: list[Problem] = []
    for scope in scopes.values():
        linked = {end for wire in scope.wires.values() for end in (wire.origin, wire.target)}
        for raw in scope.nodes.values():
            if raw["type"] in VIRTUAL or raw["type"] in scope.definitions:
                continue
            if raw["type"] not in catalogue and raw["id"] not in linked:
                notes.append(_dropped(raw, scope))
                continue
            nodes[scope.id_of(raw["id"])] = _node(raw, scope, wires, instances.inside(scope, raw), catalogue, notes)
    for node_id, routes in wires.routes.items():
        if node_id in nodes:
            nodes[node_id]["_meta"]["passes"] = routes
    extra: dict[str, Any] = {}
    title = member(body, "extra").get("title")
    if isinstance(title, str):
        extra["title"] = title
    groups = tuple(group for of in (_frames, _notes) for scope in scopes.values() for group in of(scope))
    return Document(nodes, groups, extra=extra, from_comfyui=True, notes=tuple(notes))


def _dropped(raw: JsonObject, scope: Scope) -> Problem:
    """Of a node that nothing is linked to, and whose class is not known: most such are helpers of the editor."""
    node, kind = scope.id_of(raw["id"]), str(raw["type"])
    message = f"Node {node!r} is left out: there is no node {quoted(kind)}, and nothing is linked to it."
    return Problem("unknown_node", message, node, kind)


def _node(
    raw: JsonObject, scope: Scope, wires: Wires, around: JsonObject, catalogue: Catalogue, notes: list[Problem]
) -> JsonObject:
    """A node of the native document. `around` is what the subgraph instance around it holds for its widgets."""
    class_type = str(raw["type"])
    spec = catalogue.get(class_type)
    inputs, controls = widgets(raw, class_type, spec)
    inputs |= {name: value for name, value in around.items() if spec is None or spec.input(name) is not None}
    links: JsonObject = {}
    for index, each in enumerate(entries(raw.get("inputs"))):
        if each.get("link") is None:
            continue
        source = wires.source(scope, raw, index)
        name = input_name(each)
        if spec is not None and spec.input(name) is None:
            if source is not None:
                notes.append(_unknown_input(scope.id_of(raw["id"]), class_type, name))
        elif isinstance(source, Link):
            links[name] = [source.node, source.output]
        elif isinstance(source, Literal):
            inputs[name] = source.value
    meta: JsonObject = {"pos": _moved(place_of(raw), scope)}
    if isinstance(raw.get("title"), str) and raw["title"] != class_type:
        meta["title"] = raw["title"]
    mode = MODES.get(mode_of(raw)) or MODES.get(scope.mode)
    if mode is not None:
        meta["mode"] = mode
    if member(raw, "flags").get("collapsed"):
        meta["collapsed"] = True
    if isinstance(raw.get("color"), str):
        meta["color"] = raw["color"]
    if controls:
        meta["seed_control"] = controls
    for name, value in inputs.items():
        declared = None if spec is None else spec.input(name)
        read = value if declared is None else converted(declared, value)
        if isinstance(read, str) and name in DYNAMIC.get(class_type, ()):
            node = scope.id_of(raw["id"])
            prompt = said(read, node)
            read = prompt.text
            if prompt.chosen:
                notes.append(_chosen(node, class_type, name, read))
        inputs[name] = {"__value__": cast("list[Any]", read)} if isinstance(read, list) else read
    return {"class_type": class_type, "inputs": inputs | links, "_meta": meta}


def _chosen(node: str, class_type: str, name: str, text: str) -> Problem:
    message = f"{name!r} of node {node!r} ({class_type}) has alternatives; {quoted(text)} was chosen for good."
    return Problem("alternatives", message, node, class_type, name)


def _unknown_input(node: str, class_type: str, name: str) -> Problem:
    message = f"Node {node!r} ({class_type}) has no input {quoted(name)}; what was linked to it is left out."
    return Problem("unknown_input", message, node, class_type, name[:120])


def _moved(place: tuple[float, float], scope: Scope) -> list[float]:
    """A place on the canvas of a scope, on that of the file."""
    return [place[0] + scope.shift[0], place[1] + scope.shift[1]]


def _frames(scope: Scope) -> Iterator[JsonObject]:
    """The groups of a scope, where its nodes are."""
    for frame in scope.frames:
        bounds: Any = frame.get("bounding")
        sides = cast("list[Any]", bounds) if isinstance(bounds, list) else []
        place, size = pair_of(sides[:2]), pair_of(sides[2:])
        if place is not None and size is not None and len(sides) == 4:
            yield {
                "title": str(frame.get("title", "")),
                "bounds": [*_moved(place, scope), *size],
                "color": frame.get("color"),
            }


def _notes(scope: Scope) -> Iterator[JsonObject]:
    """The notes of a scope that say anything, as groups with a text."""
    for raw in scope.nodes.values():
        if raw["type"] not in NOTES:
            continue
        values: Any = raw.get("widgets_values")
        first = cast("list[Any]", values)[0] if isinstance(values, list) and values else ""
        text = first if isinstance(first, str) else ""
        given, color = raw.get("title"), raw.get("color")
        title = given if isinstance(given, str) and given not in NOTES else ""
        if text or title:
            place = _moved(place_of(raw), scope)
            size = pair_of(raw.get("size")) or NOTE_SIZE
            color = color if isinstance(color, str) else None
            yield {"title": title, "bounds": [*place, *size], "color": color, "text": text}
