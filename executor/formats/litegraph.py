"""Reads the files of ComfyUI's editor (litegraph JSON 0.4 and 1.0) into native documents.

Such a file keeps the values of a node's widgets by position, so reading one takes the catalogue. What only that editor
knows is resolved here: subgraphs become their nodes, with ids `outer:inner`; reroutes and primitives become what they
stand for; notes are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from executor.bind import converted
from executor.formats.document import Document
from executor.formats.dynamic_prompts import DYNAMIC, said
from executor.formats.litegraph_scopes import Scope, mode_of, open_scopes, place_of
from executor.formats.litegraph_wires import SEED_CONTROLS, Literal, Wires, input_name
from executor.graph import Link
from executor.problems import JsonObject, Problem, quoted
from nodes.sdk.spec import Catalogue, NodeSpec

VIRTUAL = frozenset({"Reroute", "PrimitiveNode", "Note", "MarkdownNote"})
MODES = {2: "mute", 4: "bypass"}
SEED_NAMES = frozenset({"seed", "noise_seed"})
OTHER_WIDGETS = {"CheckpointLoader": ("config_name", "ckpt_name")}
"""ComfyUI's nodes whose name is one of ours with its widgets in another order."""


def as_native(document: Document, catalogue: Catalogue) -> Document:
    """The document itself, or what a file of ComfyUI's editor says, in the native format.

    Raises:
        BadDocument: the file of ComfyUI's editor is damaged.
    """
    if document.litegraph is None:
        return document
    body = document.litegraph
    scopes = open_scopes(body)
    wires = Wires(scopes)
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
            nodes[scope.id_of(raw["id"])] = _node(raw, scope, wires, catalogue, notes)
    for node_id, routes in wires.routes.items():
        if node_id in nodes:
            nodes[node_id]["_meta"]["passes"] = routes
    extra: dict[str, Any] = {}
    title = _member(body, "extra").get("title")
    if isinstance(title, str):
        extra["title"] = title
    return Document(nodes, tuple(_groups(body)), extra=extra, from_comfyui=True, notes=tuple(notes))


def _dropped(raw: JsonObject, scope: Scope) -> Problem:
    """Of a node that nothing is linked to, and whose class is not known: most such are helpers of the editor."""
    node, kind = scope.id_of(raw["id"]), str(raw["type"])
    message = f"Node {node!r} is left out: there is no node {quoted(kind)}, and nothing is linked to it."
    return Problem("unknown_node", message, node, kind)


def _node(raw: JsonObject, scope: Scope, wires: Wires, catalogue: Catalogue, notes: list[Problem]) -> JsonObject:
    class_type = str(raw["type"])
    spec = catalogue.get(class_type)
    inputs, controls = _widgets(raw, class_type, spec)
    links: JsonObject = {}
    for index, each in enumerate(_objects(raw.get("inputs"))):
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
    meta: JsonObject = {"pos": [x + shift for x, shift in zip(place_of(raw), scope.shift, strict=True)]}
    if isinstance(raw.get("title"), str) and raw["title"] != class_type:
        meta["title"] = raw["title"]
    mode = MODES.get(mode_of(raw)) or MODES.get(scope.mode)
    if mode is not None:
        meta["mode"] = mode
    if _member(raw, "flags").get("collapsed"):
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


def _widgets(raw: JsonObject, class_type: str, spec: NodeSpec | None) -> tuple[JsonObject, JsonObject]:
    """The values of a node's widgets by name, and what its seeds do after each run."""
    given: Any = raw.get("widgets_values")
    names = _widget_names(raw, class_type, spec)
    if isinstance(given, dict):
        return {name: value for name, value in cast("JsonObject", given).items() if name in names}, {}
    values = cast("list[Any]", given) if isinstance(given, list) else []
    found: JsonObject = {}
    controls: JsonObject = {}
    index = 0
    for name in names:
        if index >= len(values):
            break
        if values[index] is not None:
            found[name] = values[index]
        index += 1
        is_seed = name in SEED_NAMES or (
            spec is not None and (declared := spec.input(name)) and declared.widget == "seed"
        )
        control = _control(values[index]) if is_seed and index < len(values) else None
        if control is not None and (isinstance(values[index], str) or len(values) > len(names)):
            controls[name] = control
            index += 1
    return found, controls


def _control(value: object) -> str | None:
    """What a seed does after each run. The first files had a switch for it; one that is a widget of its own leaves no
    value over at the end."""
    if isinstance(value, bool):
        return "randomize" if value else "fixed"
    return value if isinstance(value, str) and value in SEED_CONTROLS else None


def _widget_names(raw: JsonObject, class_type: str, spec: NodeSpec | None) -> Sequence[str]:
    other = OTHER_WIDGETS.get(class_type)
    if other is not None and _length(raw.get("widgets_values")) == len(other):
        return other
    if spec is not None:
        return [each.name for each in spec.inputs if each.widget is not None]
    listed = (_member(each, "widget").get("name") for each in _objects(raw.get("inputs")))
    return [name for name in listed if isinstance(name, str)]


def _length(value: object) -> int | None:
    return len(cast("list[Any]", value)) if isinstance(value, list) else None


def _groups(body: JsonObject) -> Iterator[JsonObject]:
    for group in _objects(body.get("groups")):
        bounds = group.get("bounding")
        if isinstance(bounds, list) and len(cast("list[Any]", bounds)) == 4:
            yield {"title": str(group.get("title", "")), "bounds": bounds, "color": group.get("color")}


def _member(of: Mapping[str, Any], name: str) -> JsonObject:
    value: Any = of.get(name)
    return cast("JsonObject", value) if isinstance(value, dict) else {}


def _objects(value: object) -> list[JsonObject]:
    entries = cast("list[Any]", value) if isinstance(value, list) else []
    return [each for each in entries if isinstance(each, dict)]
