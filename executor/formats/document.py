"""The workflow document and the strict reading of it: what a file must be before its graph is looked at."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, NoReturn, cast

from executor.collector import no_collection
from executor.problems import LONGEST_NAME, BadDocument, JsonObject, Problem, quoted

FORMAT = "latentgraph/1"
FORMAT_NAME = re.compile(r"latentgraph/(\d{1,6})")
MAX_DOCUMENT_BYTES = 64 * 1024 * 1024
MAX_NODES = 100_000
MAX_TEXT_BYTES = 1024 * 1024
MAX_DEPTH = 64

Origin = Literal["native", "prompt", "litegraph"]


class NotFinite(NamedTuple):
    """Stands for NaN or Infinity until the document is read so far that it can be said where it is."""

    name: str


@dataclass(frozen=True, slots=True)
class Document:
    """A workflow as it is saved: nodes by id, and what only the editor needs.

    `origin` tells a native document from a bare ComfyUI API prompt and from a file of ComfyUI's editor; the latter is
    kept in `litegraph` until there is a catalogue to read it with (`formats.litegraph.as_native`), which leaves `notes`
    on what it could not keep. `from_comfyui` says that it was not made here, so that what can be run of it is. `source`
    is the JSON text the document was read from, kept so that storing the document costs no second writing; None when
    there was no such text.
    """

    nodes: Mapping[str, Any]
    groups: tuple[Any, ...] = ()
    subgraphs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])
    origin: Origin = "native"
    source: str | None = field(default=None, compare=False, repr=False)
    litegraph: JsonObject | None = field(default=None, repr=False)
    from_comfyui: bool = field(default=False, compare=False)
    notes: tuple[Problem, ...] = field(default=(), compare=False)

    @property
    def title(self) -> str | None:
        """The name the person gave the workflow."""
        title = self.extra.get("title")
        return title if isinstance(title, str) and title else None

    def to_json(self) -> JsonObject:
        """The document in the native format."""
        return {
            "format": FORMAT,
            "nodes": dict(self.nodes),
            "groups": list(self.groups),
            "subgraphs": dict(self.subgraphs),
            "extra": dict(self.extra),
        }

    def to_text(self) -> str:
        """JSON text that reads back as this document."""
        if self.source is not None:
            return self.source
        return json.dumps(self.to_json() if self.origin == "native" else dict(self.nodes), allow_nan=False)


def refuse(code: str, message: str, **details: Any) -> NoReturn:
    """Raise `BadDocument` for a problem of the document as a whole."""
    raise BadDocument(Problem(code, message, details=details))


def parse_json(data: bytes | str, constant: Callable[[str], Any] | None = None) -> Any:
    """Strict JSON: no NaN or Infinity, no numbers beyond a double's range, bounded size and depth.

    Args:
        data: the text.
        constant: gives what stands for NaN or Infinity, where these are to be read.

    Raises:
        BadDocument: `too_large`, `not_finite` or `bad_document`.
    """
    if len(data) > MAX_DOCUMENT_BYTES:
        refuse("too_large", f"The document has {len(data):,} bytes; at most {MAX_DOCUMENT_BYTES:,} are read.")
    try:
        text = data if isinstance(data, str) else data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        refuse("bad_document", f"The document is not UTF-8 text (byte {error.start}); save it as JSON in UTF-8.")
    met: list[NotFinite] = []

    def keep(name: str) -> NotFinite:
        met.append(NotFinite(name))
        return met[-1]

    try:
        with no_collection():
            value = json.loads(text, parse_constant=constant or keep)
    except json.JSONDecodeError as error:
        refuse("bad_document", f"The document is not JSON: {error.msg} in line {error.lineno}, column {error.colno}.")
    except RecursionError:
        refuse("bad_document", "The document is nested too deeply to be a workflow.")
    except ValueError as error:
        refuse("bad_document", f"The document holds a number that can't be read: {error}.")
    if met:
        raise BadDocument(_not_finite(value, met[0]))
    return value


def read_text(data: bytes | str) -> Document:
    """Read a document from JSON text. Raises `BadDocument` when there is none in it."""
    value = parse_json(data)
    text = data if isinstance(data, str) else data.decode("utf-8-sig")
    return read_document(value, source=text)


def read_metadata(text: str) -> Document:
    """Read a document from the JSON text in a picture, where NaN means nothing: ComfyUI writes it beside inputs, for
    nodes that have to run each time. Raises `BadDocument` when there is none in it."""
    return read_document(parse_json(text, constant=lambda _: None))


def read_document(value: object, *, source: str | None = None) -> Document:
    """Read a document from parsed JSON: native, a bare ComfyUI API prompt, a file of ComfyUI's editor, or one of
    them inside a request body.

    Args:
        value: parsed JSON.
        source: the text `value` was parsed from, when there is one.

    Raises:
        BadDocument: `bad_document`, `unsupported_format` or `too_large`.
    """
    for _ in range(3):
        if not isinstance(value, dict):
            refuse("bad_document", f"A workflow is a JSON object, and this is {quoted(value)}.")
        body = cast("JsonObject", value)
        if isinstance(body.get("format"), str):
            return _native(body, source)
        if isinstance(body.get("nodes"), list) and "links" in body:
            return _litegraph(body)
        wrapped = next((body[name] for name in ("workflow", "prompt") if _is_wrapper(body, name)), None)
        if wrapped is None:
            return _prompt(body, source)
        value, source = wrapped, None
    refuse("bad_document", "The workflow is wrapped in too many request bodies; send the document itself.")


def _not_finite(value: object, met: NotFinite) -> Problem:
    """What is wrong with a number that is none, with the node and the input that it was written for."""
    remedy = "which is no JSON number; write a finite number instead."
    pending: list[tuple[str, object]] = [("", value)]
    while pending:
        key, here = pending.pop()
        if not isinstance(here, dict):
            if isinstance(here, list):
                pending += (("", each) for each in cast("list[object]", here))
            continue
        entry = cast("JsonObject", here)
        class_type = entry.get("class_type", entry.get("type"))
        inputs = entry.get("inputs")
        if isinstance(class_type, str) and isinstance(inputs, dict | list):
            node, kind = str(entry.get("id", key))[:LONGEST_NAME], class_type[:LONGEST_NAME]
            named = cast("JsonObject", inputs).items() if isinstance(inputs, dict) else ()
            name = next((name[:LONGEST_NAME] for name, value in named if _holds(value, met)), None)
            if name is not None or _holds(entry.get("widgets_values"), met):
                what = "A value" if name is None else repr(name)
                message = f"{what} of node {node!r} ({kind}) is {met.name}, {remedy}"
                return Problem("not_finite", message, node, kind, name)
        pending += entry.items()
    return Problem("not_finite", f"The document holds {met.name}, {remedy}")


def _holds(value: object, met: NotFinite) -> bool:
    """Whether a value is what was met, or a list or an object with it."""
    within = list(cast("JsonObject", value).values()) if isinstance(value, dict) else value
    return value is met or (isinstance(within, list) and any(each is met for each in cast("list[object]", within)))


def _is_wrapper(body: JsonObject, name: str) -> bool:
    inner: object = body.get(name)
    return isinstance(inner, dict) and "class_type" not in inner


def _native(body: JsonObject, source: str | None) -> Document:
    name = body["format"]
    if name != FORMAT:
        match = FORMAT_NAME.fullmatch(name)
        if match is not None and int(match[1]) > 1:
            refuse(
                "unsupported_format",
                f"This file was made by a newer version (format {quoted(name)}, and this version reads "
                f"{FORMAT!r}); update the program to open it.",
                format=name,
            )
        refuse("unsupported_format", f"The format {quoted(name)} is not known; this version reads {FORMAT!r}.")
    nodes = body.get("nodes")
    if not isinstance(nodes, dict):
        refuse("bad_document", 'The document has no "nodes": it must be an object with one entry for each node.')
    found = cast("JsonObject", nodes)
    _limit(found)
    parts: dict[str, Any] = {}
    for part, kind in (("groups", list), ("subgraphs", dict), ("extra", dict)):
        parts[part] = body.get(part) if body.get(part) is not None else kind()
        if not isinstance(parts[part], kind):
            refuse("bad_document", f'"{part}" of the document must be {"a list" if kind is list else "an object"}.')
    return Document(found, tuple(parts["groups"]), parts["subgraphs"], parts["extra"], "native", source)


def _litegraph(body: JsonObject) -> Document:
    raw = cast("list[Any]", body["nodes"])
    if len(raw) > MAX_NODES:
        refuse("too_large", f"The document has {len(raw):,} nodes; at most {MAX_NODES:,} are read.")
    for each in raw:
        fields = cast("JsonObject", each) if isinstance(each, dict) else {}
        if not isinstance(fields.get("id"), str | int) or not isinstance(fields.get("type"), str):
            refuse("bad_document", "A node of this ComfyUI file has no id or no type; save it again in ComfyUI.")
    if not isinstance(body["links"], list):
        refuse("bad_document", 'The "links" of this ComfyUI file are not a list; save it again in ComfyUI.')
    return Document({}, origin="litegraph", litegraph=body)


def _prompt(body: JsonObject, source: str | None) -> Document:
    _limit(body)
    if not any(isinstance(entry, dict) and "class_type" in entry for entry in body.values()):
        refuse(
            "bad_document",
            f'There is no workflow in this: it has neither "format": {FORMAT!r} nor nodes with a "class_type".',
        )
    return Document(body, origin="prompt", source=source, from_comfyui=True)


def _limit(nodes: JsonObject) -> None:
    if len(nodes) > MAX_NODES:
        refuse("too_large", f"The document has {len(nodes):,} nodes; at most {MAX_NODES:,} are read.")
