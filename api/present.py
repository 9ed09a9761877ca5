"""How files appear to clients: their JSON with the addresses where the file and its thumbnail can be fetched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import quote

Json = dict[str, Any]


def file_address(kind: str, relative: str) -> str:
    """Where a file of the output, input or temp folder is downloaded."""
    return f"/api/v1/files/{kind}/{quote(relative)}"


def thumbnail_address(kind: str, relative: str) -> str:
    """Where a small WebP of a picture is downloaded."""
    return f"/api/v1/thumbnails/{kind}/{quote(relative)}"


def with_addresses(file: Mapping[str, Any]) -> Json:
    """The JSON of an `OutputFile` with `url` and, for pictures, `thumbnail_url`."""
    relative = f"{file['subfolder']}/{file['filename']}" if file["subfolder"] else file["filename"]
    picture = str(file.get("media", "")).startswith("image/")
    return {
        **file,
        "url": file_address(file["type"], relative),
        "thumbnail_url": thumbnail_address(file["type"], relative) if picture else None,
    }


def outputs_with_addresses(outputs: object) -> object:
    """The same for an event's or job's `outputs`: a list of files, or lists of files by node."""
    if isinstance(outputs, Mapping):
        by_node = cast("Mapping[str, object]", outputs)
        return {node: outputs_with_addresses(files) for node, files in by_node.items()}
    files = cast("list[Mapping[str, Any]]", outputs)
    return [with_addresses(file) for file in files]


def event_json(event: Mapping[str, Any]) -> Json:
    """An event as it is sent to clients."""
    if "outputs" not in event:
        return dict(event)
    return {**event, "outputs": outputs_with_addresses(event["outputs"])}
