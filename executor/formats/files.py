"""Reading a workflow from a file of any supported kind: JSON, or a picture that carries one."""

from __future__ import annotations

from pathlib import Path

from executor.formats.document import MAX_DOCUMENT_BYTES, Document, read_metadata, read_text, refuse
from executor.formats.pictures import is_picture, metadata
from executor.problems import BadDocument, Problem

MAX_PICTURE_BYTES = 512 * 1024 * 1024


def read_file(path: Path) -> Document:
    """Read the workflow of a JSON, PNG or WebP file.

    Raises:
        BadDocument: there is none in it, or it can't be read.
        OSError: the file can't be opened.
    """
    if path.stat().st_size > MAX_PICTURE_BYTES:
        refuse("too_large", f"{path.name} has more than {MAX_PICTURE_BYTES:,} bytes, too many for a workflow.")
    return read_bytes(path.read_bytes())


def read_bytes(data: bytes) -> Document:
    """Read the workflow of a JSON, PNG or WebP file given as bytes.

    In a picture the document of the editor (`workflow`) is preferred to the API prompt (`prompt`), which knows no
    layout, unless it can't be read or is empty.

    Raises:
        BadDocument: there is none in it, or it can't be read.
    """
    if not is_picture(data):
        if len(data) > MAX_DOCUMENT_BYTES or b"\0" not in data[:4096]:
            return read_text(data)
        refuse("unsupported_format", "This is neither JSON nor a PNG or WebP picture, so there is no workflow in it.")
    texts = metadata(data)
    first: BadDocument | None = None
    for keyword in ("workflow", "prompt"):
        if keyword in texts:
            text = texts[keyword]
            try:
                if isinstance(text, Problem):
                    raise BadDocument(text)
                document = read_metadata(text)
            except BadDocument as error:
                first = first or error
                continue
            if keyword == "prompt" or "prompt" not in texts or _has_nodes(document):
                return document
    message = "There is no workflow in this picture; it may have been saved by another program, which drops it."
    raise first or BadDocument(Problem("bad_document", message))


def _has_nodes(document: Document) -> bool:
    return bool(document.nodes if document.litegraph is None else document.litegraph["nodes"])
