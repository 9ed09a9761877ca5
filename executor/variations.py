"""Changes a document as the command line asks: inputs given other values, a prompt for each line of a file, a plot."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from executor.formats.document import Document
from executor.sweep import PICTURES, PLOT
from nodes.sdk.spec import Catalogue, InputSpec

_POSITIVE = "positive"
_TEXT = "text"


class WrongUsage(Exception):
    """The command can't be carried out as it was typed."""


def with_changes(document: Document, changes: Sequence[str], catalogue: Catalogue) -> Document:
    """The document with inputs replaced as `--set` asks. A value is JSON, or plain text where a text is wanted.

    Raises:
        WrongUsage: a change is malformed, or its node is not there or not the only one of that title.
    """
    if not changes:
        return document
    nodes = _copied(document)
    for change in changes:
        name, wanted, text = _parts("--set", change)
        node = nodes[_node_called("--set", name, nodes)]
        spec = catalogue.get(str(_member(node, "class_type")))
        declared = spec.input(wanted) if spec is not None else None
        node.setdefault("inputs", {})[wanted] = _value(text, declared)
    return dataclasses.replace(document, nodes=nodes, source=None)


def with_prompts(document: Document, prompts: Sequence[str], target: str | None) -> Iterator[Document]:
    """A document for each prompt. `target` is the NODE.INPUT that takes it; by default the text of the one node that
    feeds the positive side of a sampler.

    Raises:
        WrongUsage: the input is not there, or there are several that it could be.
    """
    nodes = _copied(document)
    if target is None:
        found = _prompt_nodes(nodes)
        if len(found) != 1:
            named = f"of {', '.join(found)} " if found else ""
            raise WrongUsage(f"--prompts: it can't be told which input {named}takes the prompt; say --prompt-input")
        place, wanted = found[0], _TEXT
    else:
        name, dot, wanted = target.rpartition(".")
        if not dot:
            raise WrongUsage(f"--prompt-input {target!r} is not of the form NODE.INPUT")
        place = _node_called("--prompt-input", name, nodes)
    for prompt in prompts:
        inputs: dict[str, Any] = {**_inputs(nodes[place]), wanted: prompt}
        yield dataclasses.replace(document, nodes={**nodes, place: {**nodes[place], "inputs": inputs}}, source=None)


def with_plot(document: Document, across: str | None, down: str | None) -> Document:
    """The document with a plot in the place of the node that saves its pictures.

    Raises:
        WrongUsage: an axis is malformed, or there is not exactly one node that saves or shows pictures.
    """
    if across is None and down is None:
        return document
    inputs: dict[str, Any] = {}
    for axis, given in (("x", across), ("y", down)):
        name, wanted, values = ("", "", "") if given is None else _parts(f"--{axis}", given)
        inputs |= {axis: f"{name}.{wanted}" if name else "", f"{axis}_values": values}
    nodes = _copied(document)
    ends = [node_id for node_id, node in nodes.items() if _source(_inputs(node).get(PICTURES)) is not None]
    consumed = {_source(value) for node in nodes.values() for value in _inputs(node).values()}
    ends = [node_id for node_id in ends if node_id not in consumed]
    if len(ends) != 1:
        raise WrongUsage(f"--x: a plot needs exactly one node that saves pictures, and there are {len(ends)}")
    (end,) = ends
    kept = {name: value for name, value in _inputs(nodes[end]).items() if name in (PICTURES, "filename_prefix")}
    nodes[end] = {**nodes[end], "class_type": PLOT, "inputs": {**kept, **inputs}}
    return dataclasses.replace(document, nodes=nodes, source=None)


def _copied(document: Document) -> dict[str, Any]:
    return json.loads(json.dumps(dict(document.nodes)))


def _parts(option: str, given: str) -> tuple[str, str, str]:
    target, equals, text = given.partition("=")
    name, dot, wanted = target.rpartition(".")
    if not equals or not dot or not name or not wanted:
        raise WrongUsage(f"{option} {given!r} is not of the form NODE.INPUT=VALUE")
    return name, wanted, text


def _node_called(option: str, name: str, nodes: Mapping[str, Any]) -> str:
    if name in nodes:
        return name
    titled = [
        node_id
        for node_id, node in nodes.items()
        if name in (_member(_member(node, "_meta"), "title"), _member(node, "class_type"))
    ]
    if len(titled) == 1:
        return titled[0]
    if titled:
        raise WrongUsage(f"{option}: several nodes are called {name!r}; use an id: {', '.join(titled)}")
    raise WrongUsage(f"{option}: there is no node {name!r}; the ids are {', '.join(list(nodes)[:20])}")


def _prompt_nodes(nodes: Mapping[str, Any]) -> list[str]:
    """The nodes with a typed text that lead to the positive side of a sampler, the nearest on each way."""
    found: list[str] = []
    seen: set[str] = set()
    waiting = [_source(_inputs(node).get(_POSITIVE)) for node in nodes.values()]
    while waiting:
        here = waiting.pop(0)
        if here is None or here in seen or here not in nodes:
            continue
        seen.add(here)
        inputs = _inputs(nodes[here])
        if isinstance(inputs.get(_TEXT), str):
            found.append(here)
        else:
            waiting += [_source(value) for name, value in inputs.items() if name != "negative"]
    return found


def _value(text: str, declared: InputSpec | None) -> object:
    if declared is not None and declared.type in ("STRING", "COMBO"):
        return text
    try:
        value: object = json.loads(text)
    except ValueError:
        return text
    return {"__value__": cast("list[Any]", value)} if isinstance(value, list) else value


def _inputs(node: object) -> dict[str, Any]:
    found = _member(node, "inputs")
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _source(value: object) -> str | None:
    """The node that a link comes from; None for what is no link."""
    found = cast("list[Any]", value) if isinstance(value, list) else []
    return found[0] if len(found) == 2 and isinstance(found[0], str) else None


def _member(value: object, name: str) -> Any:
    """A member of a JSON object; None for anything that is no object."""
    return cast("dict[str, Any]", value).get(name) if isinstance(value, dict) else None
