"""Uploads of input pictures, and downloads of results and their thumbnails."""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
from pathlib import Path
from typing import Any

from aiohttp import BodyPartReader, web

from api.errors import ApiError
from api.present import file_address, thumbnail_address
from api.services import services
from api.thumbnails import NotAPicture, make_thumbnail, picture_size
from executor.files import has_ending
from nodes.sdk.paths import OutsideFolder, resolve_inside

UPLOAD_LIMIT = 64 * 2**20
CHUNK = 2**18
THUMBNAIL_SIZES = (64, 1024)
_COMMON = (".png", ".jpg", ".jpeg", ".webp", ".avif", ".bmp", ".gif", ".tif", ".tiff")
PICTURES = frozenset((*_COMMON, ".jp2", ".ico", ".tga", ".ppm", ".pcx", ".dds", ".sgi"))


def routes() -> list[web.RouteDef]:
    return [
        web.post("/api/v1/inputs", upload),
        web.get("/api/v1/inputs", list_inputs),
        web.get("/api/v1/files/{type}/{path:.+}", download),
        web.get("/api/v1/thumbnails/{type}/{path:.+}", thumbnail),
    ]


async def upload(request: web.Request) -> web.Response:
    """Store the picture of the multipart field `image` among the inputs.

    A file that is already there under the same name with the same content is used again; another content gets the
    next free `name (1).ext`.
    """
    if not request.content_type.startswith("multipart/"):
        raise ApiError(400, "not_multipart", "Send the picture as multipart form data in the field `image`.")
    folder = services(request).folders.inputs
    reader = await request.multipart()
    while (part := await reader.next()) is not None:
        if isinstance(part, BodyPartReader) and part.name == "image":
            return await _store(part, folder)
    raise ApiError(400, "missing_field", "The form has no field `image`.")


async def _store(part: BodyPartReader, folder: Path) -> web.Response:
    name = safe_name(part.filename or "")
    temporary = folder / f".upload-{secrets.token_hex(8)}"
    digest = hashlib.blake2b()
    size = 0
    try:
        with temporary.open("xb") as file:  # with the rights that the person's umask gives new files
            while chunk := await part.read_chunk(CHUNK):
                size += len(chunk)
                if size > UPLOAD_LIMIT:
                    raise ApiError(413, "too_large", f"A picture may have at most {UPLOAD_LIMIT // 2**20} MiB.")
                digest.update(chunk)
                file.write(chunk)
        try:
            width, height = await asyncio.to_thread(picture_size, temporary)
        except NotAPicture as error:
            raise ApiError(422, "not_a_picture", f"{name}: {error}") from error
        final = await asyncio.to_thread(_claim, temporary, folder, name, digest.digest())
    finally:
        temporary.unlink(missing_ok=True)
    return web.json_response(
        {
            "name": final,
            "url": file_address("input", final),
            "thumbnail_url": thumbnail_address("input", final),
            "width": width,
            "height": height,
        },
        status=201,
    )


def safe_name(name: str) -> str:
    """A plain file name made from what a client called its file; raises ApiError when it can't be a picture's."""
    plain = Path(name.replace("\\", "/")).name
    plain = re.sub(r"[^\w .()+-]", "_", plain).strip(" .")[-120:]
    if not plain or plain.startswith(".") or not has_ending(plain, PICTURES):
        raise ApiError(422, "bad_name", f"{name!r} is not the name of a picture; use one that ends in .png or .jpg.")
    return plain


def _claim(temporary: Path, folder: Path, name: str, digest: bytes) -> str:
    """Give an upload its name, or the next that is free, unless the same picture has it already; the name."""
    stem, suffix = Path(name).stem, Path(name).suffix
    number = 0
    while True:
        candidate = folder / (name if number == 0 else f"{stem} ({number}){suffix}")
        try:
            candidate.open("xb").close()  # reserves the name, also where a file system knows no links
        except FileExistsError:
            if hashlib.blake2b(candidate.read_bytes()).digest() == digest:
                return candidate.name
            number += 1
        else:
            try:
                temporary.replace(candidate)
            except OSError:
                candidate.unlink()
                raise
            return candidate.name


async def list_inputs(request: web.Request) -> web.Response:
    """The input pictures, newest first."""
    folder = services(request).folders.inputs

    def read() -> list[dict[str, Any]]:
        found = [path for path in folder.iterdir() if has_ending(path.name, PICTURES) and path.is_file()]
        found.sort(key=lambda path: path.stat().st_mtime, reverse=True)
        return [
            {
                "name": path.name,
                "url": file_address("input", path.name),
                "thumbnail_url": thumbnail_address("input", path.name),
            }
            for path in found
        ]

    return web.json_response({"inputs": await asyncio.to_thread(read)})


def _requested_file(request: web.Request) -> Path:
    kind = request.match_info["type"]
    if kind not in ("output", "input", "temp"):
        raise ApiError(404, "unknown_type", "Files are of type output, input or temp.")
    try:
        path = resolve_inside(services(request).folders.root(kind), request.match_info["path"])
    except OutsideFolder as error:
        raise ApiError(403, "outside_folder", f"{error}.") from error
    if not path.is_file() or path.name.startswith("."):
        raise ApiError(404, "no_such_file", f"There is no file {request.match_info['path']!r}.")
    return path


async def download(request: web.Request) -> web.StreamResponse:
    """A file as it lies in its folder. Never run by the browser as a page of ours."""
    path = _requested_file(request)
    response = web.FileResponse(path)
    if path.suffix.lower() == ".webp":  # which aiohttp does not know
        response.headers["Content-Type"] = "image/webp"
    response.headers["Content-Security-Policy"] = "sandbox"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "private, max-age=60"
    return response


async def thumbnail(request: web.Request) -> web.StreamResponse:
    """A WebP of at most `?size=` pixels a side (256 unless told), made once and kept."""
    path = _requested_file(request)
    asked = request.query.get("size", "256")
    smallest, largest = THUMBNAIL_SIZES
    if not asked.isdecimal() or not smallest <= int(asked) <= largest:
        raise ApiError(400, "bad_size", f"`size` is a number from {smallest} to {largest}.")
    folder = services(request).folders.cache / "thumbnails"
    try:
        small = await asyncio.to_thread(make_thumbnail, path, folder, int(asked))
    except NotAPicture as error:
        raise ApiError(422, "not_a_picture", f"{path.name}: {error}") from error
    response = web.FileResponse(small)
    response.headers["Content-Type"] = "image/webp"
    response.headers["Cache-Control"] = "private, max-age=86400"
    return response
