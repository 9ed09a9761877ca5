"""Makes a document for the editor of a bare ComfyUI API prompt, which is run as it is but not edited as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from executor.bind import converted
from executor.formats.document import Document
from executor.problems import JsonObject
from nodes.sdk.spec import Catalogue, NodeSpec


def as_edited(document: Document, catalogue: Catalogue) -> Document:
    """A prompt with each literal as its node takes it, and without inputs that its node does not have: what is run of a
    prompt, and what the editor shows and saves. Nodes of unknown classes stay as they are."""
    nodes = {
        node_id: _node(cast("JsonObject", entry), catalogue) if isinstance(entry, dict) else entry
        for node_id, entry in document.nodes.items()
    }
    return replace(document, nodes=nodes, source=None)


def _node(entry: JsonObject, catalogue: Catalogue) -> JsonObject:
    spec, inputs = catalogue.get(str(entry.get("class_type"))), entry.get("inputs")
    if spec is None or not isinstance(inputs, Mapping):
        return entry
    return {**entry, "inputs": dict(_inputs(spec, cast("Mapping[str, Any]", inputs)))}


def _inputs(spec: NodeSpec, inputs: Mapping[str, Any]) -> list[tuple[str, Any]]:
    found = ((spec.input(name), name, value) for name, value in inputs.items())
    return [(name, converted(declared, value)) for declared, name, value in found if declared is not None]
