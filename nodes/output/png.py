"""Writes a PNG that carries the workflow it came from."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nodes.output.parameters import parameters_text

if TYPE_CHECKING:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

_COMPRESSION = 4


def encode_png(image: Image.Image, document: Mapping[str, Any], prompt: Mapping[str, Any], node_id: str) -> bytes:
    """The bytes of a PNG with the text chunks `workflow` (the document), `prompt` (the same as a ComfyUI API prompt),
    both JSON in ASCII, and `parameters` (the summary that other programs show), where there was a sampler."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", pnginfo=texts(document, prompt, node_id, image.size), compress_level=_COMPRESSION)
    return buffer.getvalue()


def texts(document: Mapping[str, Any], prompt: Mapping[str, Any], node_id: str, size: tuple[int, int]) -> PngInfo:
    """Those text chunks, for a picture of `size` (width, height)."""
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("workflow", json.dumps(document))
    info.add_text("prompt", json.dumps(prompt))
    summary = parameters_text(prompt, node_id, *size)
    if summary is not None:
        info.add_text("parameters", summary)
    return info
