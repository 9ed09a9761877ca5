"""Finds the workflow inside a picture: PNG text chunks and the EXIF block of WebP files.

Only the container is read, never the pixels, with every size bounded. PNG: W3C Portable Network Graphics, third
edition, section 11.3.3. WebP: RFC 9649. EXIF fields: TIFF 6.0, section 2.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping

from executor.problems import Problem, quoted

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_TEXT = 64 * 1024 * 1024
EXIF_HEADER = b"Exif\0\0"
EXIF_TEXT_TAGS = (0x010F, 0x0110)


def is_picture(data: bytes) -> bool:
    """Whether the file is one whose metadata can be read here."""
    return data.startswith(PNG_SIGNATURE) or _is_webp(data)


def metadata(data: bytes) -> Mapping[str, str | Problem]:
    """Texts by keyword (`prompt`, `workflow`, `parameters` …), or what is wrong with one that can't be read; empty when
    there are none.

    A picture that was cut off gives the texts before the cut.
    """
    if data.startswith(PNG_SIGNATURE):
        return dict(_png_texts(data))
    if _is_webp(data):
        return dict(_webp_texts(data))
    return {}


def _is_webp(data: bytes) -> bool:
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP"


def _png_texts(data: bytes) -> Iterator[tuple[str, str | Problem]]:
    position = len(PNG_SIGNATURE)
    while position + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        body = data[position + 8 : position + 8 + length]
        if len(body) < length or kind == b"IEND":
            return
        position += 12 + length
        keyword, _, rest = body.partition(b"\0")
        name = keyword.decode("latin-1")
        if kind == b"tEXt":
            yield name, _decoded(rest)
        elif kind == b"zTXt" and rest[:1] == b"\0":
            yield name, _inflated(name, rest[1:])
        elif kind == b"iTXt" and len(rest) >= 2:
            packed = rest[0] == 1
            text = rest[2:].split(b"\0", 2)[-1]
            yield name, _inflated(name, text) if packed else _decoded(text)


def _inflated(name: str, data: bytes) -> str | Problem:
    machine = zlib.decompressobj()
    try:
        text = machine.decompress(data, MAX_TEXT)
    except zlib.error as error:
        return Problem("bad_document", f"The text {quoted(name)} in this picture is damaged ({error}).")
    if machine.eof:
        return _decoded(text)
    if len(text) >= MAX_TEXT:
        message = f"The text {quoted(name)} in this picture has more than {MAX_TEXT:,} bytes, too many for a workflow."
        return Problem("too_large", message)
    return Problem("bad_document", f"The text {quoted(name)} in this picture is cut off.")


def _decoded(text: bytes) -> str:
    """UTF-8 where it is; PNG's tEXt says Latin-1, but every program writes JSON there as ASCII or UTF-8."""
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _webp_texts(data: bytes) -> Iterator[tuple[str, str]]:
    position = 12
    while position + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, position)
        if kind == b"EXIF":
            for text in _exif_texts(data[position + 8 : position + 8 + length]):
                keyword, colon, rest = text.partition(":")
                if colon and keyword.isidentifier():
                    yield keyword.lower(), rest
        position += 8 + length + length % 2


def _exif_texts(block: bytes) -> Iterator[str]:
    """The ASCII values of the camera make and model fields, where ComfyUI keeps the workflow and the prompt."""
    tiff = block.removeprefix(EXIF_HEADER)
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or len(tiff) < 8:
        return
    (directory,) = struct.unpack_from(f"{order}I", tiff, 4)
    if directory + 2 > len(tiff):
        return
    (count,) = struct.unpack_from(f"{order}H", tiff, directory)
    for index in range(count):
        entry = directory + 2 + 12 * index
        if entry + 12 > len(tiff):
            return
        tag, kind, length, value = struct.unpack_from(f"{order}HHII", tiff, entry)
        if tag not in EXIF_TEXT_TAGS or kind != 2:
            continue
        start = entry + 8 if length <= 4 else value
        yield _decoded(tiff[start : start + length].rstrip(b"\0"))
