"""The key of a node's output: a Merkle hash over everything that decides what the node computes.

Two nodes have the same key exactly when their class, version, input values, upstream outputs, files and the numeric
class of the device agree. Ids, titles, positions and the order of inputs take no part. Cost: O(nodes + links).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from pathlib import PurePosixPath
from typing import Any, cast

from executor.check import BoundNode
from executor.files import INPUT_KIND, FileCatalogue
from nodes.sdk.spec import InputSpec

SCHEMA = 1
SIZE = 20

Key = bytes


class Unkeyable(ValueError):
    """A value that has no canonical form, such as NaN."""


def node_keys(nodes: Mapping[str, BoundNode], files: FileCatalogue, device_class: str, run_id: str) -> dict[str, Key]:
    """The key of each node.

    Args:
        nodes: checked nodes, each after those it takes values from.
        files: gives the content ids of the files that inputs name.
        device_class: what of the device and precision changes results, such as `cpu/bf16`.
        run_id: keys impure nodes, and nodes whose inputs can't be known before they run.
    """
    keys: dict[str, Key] = {}
    heads: dict[int, tuple[bytes, tuple[tuple[bytes, InputSpec], ...]]] = {}
    texts: dict[str, bytes] = {}
    for node in nodes.values():
        spec = node.spec
        head = heads.get(id(spec))
        if head is None:
            prefix = canonical([SCHEMA, spec.id, spec.version, device_class])
            ordered = tuple((canonical(each.name), each) for each in sorted(spec.inputs, key=lambda each: each.name))
            head = heads[id(spec)] = (prefix, ordered)
        parts = [head[0]]
        keyed = spec.pure
        for name, declared in head[1]:
            link = node.links.get(declared.name)
            parts.append(name)
            if declared.mentions is not None:
                text = "" if link is not None else str(node.values.get(declared.name))
                parts += _mentioned(files, declared.mentions, text, linked=link is not None)
            if link is not None:
                parts.append(b"L%d:" % link.output)
                parts.append(keys[link.node])
                keyed = keyed and not declared.is_file
                continue
            value = node.values.get(declared.name)
            if type(value) is str:
                text = texts.get(value)
                if text is None:
                    text = texts[value] = canonical(value)
                parts.append(text)
                if declared.is_file:
                    parts.append(b"F")
                    parts.append(canonical(_content(files, declared.model_kind or INPUT_KIND, value)))
            else:
                parts.append(canonical(value))
        if not keyed:
            parts.append(canonical(["run", run_id, node.id]))
        keys[node.id] = blake2b(b"".join(parts), digest_size=SIZE).digest()
    return keys


def _mentioned(files: FileCatalogue, kind: str, text: str, *, linked: bool) -> Iterator[bytes]:
    """The files of a kind that a text may name: those whose name is in it, and all while the text isn't known yet."""
    for name in files.names(kind):
        if linked or PurePosixPath(name).stem in text:
            yield b"M" + canonical([name, _content(files, kind, name)])


def _content(files: FileCatalogue, kind: str, name: str) -> str:
    try:
        return files.content_id(kind, name)
    except (OSError, ValueError) as error:
        raise Unkeyable(f"{name!r} can't be read: {error}") from error


def canonical(value: Any) -> bytes:
    """Bytes that differ whenever two JSON values differ in type or content; `1`, `1.0` and `True` do.

    Raises:
        Unkeyable: NaN, or a value JSON doesn't have.
    """
    kind = cast("type[Any]", type(value))
    if kind is str:
        text = value.encode("utf-8", "surrogatepass")
        return b"s%d:%b" % (len(text), text)
    if kind is int:
        return b"i%d;" % value
    if kind is float:
        if math.isnan(value):
            raise Unkeyable("NaN equals nothing, not even itself, so it can't be part of a key")
        return b"d" + struct.pack(">d", value)
    if value is None:
        return b"n"
    if kind is bool:
        return b"t" if value else b"f"
    if kind in (list, tuple):
        return b"l%d:%b" % (len(value), b"".join(map(canonical, value)))
    if kind is dict:
        items = sorted(cast("dict[str, Any]", value).items())
        return b"m%d:%b" % (len(items), b"".join(canonical(each) for pair in items for each in pair))
    raise Unkeyable(f"a value of type {kind.__name__} can't be part of a key")
