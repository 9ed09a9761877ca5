"""Writes moving pictures, WebP and PNG, that carry the workflow they came from."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nodes.output.parameters import parameters_text
from nodes.output.png import texts
from nodes.sdk.errors import NodeError

if TYPE_CHECKING:
    from PIL import Image

_MODEL, _MAKE, _EXIF, _USER_COMMENT = 0x0110, 0x010F, 0x8769, 0x9286
_WEBP_SIDE = 16383


def encode_animated_png(
    frames: Sequence[Image.Image],
    document: Mapping[str, Any],
    prompt: Mapping[str, Any],
    node_id: str,
    *,
    milliseconds: int,
    compress_level: int,
) -> bytes:
    """The bytes of a PNG whose frames are shown for `milliseconds` each, with the text chunks that `encode_png`
    writes."""
    buffer = io.BytesIO()
    frames[0].save(
        buffer, "PNG", pnginfo=texts(document, prompt, node_id, frames[0].size), compress_level=compress_level,
        save_all=True, append_images=frames[1:], duration=milliseconds,
    )  # fmt: skip
    return buffer.getvalue()


def encode_animated_webp(
    frames: Sequence[Image.Image],
    document: Mapping[str, Any],
    prompt: Mapping[str, Any],
    node_id: str,
    *,
    milliseconds: int,
    lossless: bool,
    quality: int,
    method: int,
) -> bytes:
    """The bytes of a WebP whose frames are shown for `milliseconds` each.

    The EXIF fields for a camera's model and make hold `prompt:` and `workflow:` with JSON, as in ComfyUI's files, and
    the user comment holds the summary that other programs show. Raises NodeError for pictures beyond the format's size.
    """
    if max(frames[0].size) > _WEBP_SIDE:
        raise NodeError(
            f"A WebP has sides of {_WEBP_SIDE} pixels at most, and these are {max(frames[0].size)}.",
            input="images",
            hint="Scale the pictures down first, or save a PNG.",
        )
    exif = frames[0].getexif()
    exif[_MODEL] = f"prompt:{json.dumps(prompt)}"
    exif[_MAKE] = f"workflow:{json.dumps(document)}"
    summary = parameters_text(prompt, node_id, *frames[0].size)
    if summary is not None:
        exif.get_ifd(_EXIF)[_USER_COMMENT] = b"UNICODE\0" + summary.encode("utf-16-be")
    buffer = io.BytesIO()
    frames[0].save(
        buffer, "WEBP", save_all=True, append_images=frames[1:], duration=milliseconds, exif=exif, lossless=lossless,
        quality=quality, method=method,
    )  # fmt: skip
    return buffer.getvalue()
