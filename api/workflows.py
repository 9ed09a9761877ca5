"""The example workflows, and the reading of workflows from files: JSON, or pictures that carry one."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from aiohttp import web

from api.errors import ApiError
from api.refusals import refusals
from api.services import services
from executor.formats import read_bytes
from nodes.sdk.paths import OutsideFolder, resolve_inside


def routes() -> list[web.RouteDef]:
    return [
        web.get("/api/v1/workflows", list_workflows),
        web.get("/api/v1/workflows/{name}", show_workflow),
        web.get("/api/v1/workflows/{name}/thumbnail", show_thumbnail),
        web.post("/api/v1/workflows/read", read_workflow_file),
    ]


async def list_workflows(request: web.Request) -> web.Response:
    """The examples in the order in which a newcomer would try them."""
    folder = services(request).workflows_dir

    def read() -> list[dict[str, Any]]:
        found: list[tuple[int, dict[str, Any]]] = []
        for path in sorted(folder.glob("*.json")):
            about = json.loads(path.read_text(encoding="utf-8")).get("extra", {})
            picture = _thumbnail_of(folder, path.stem).is_file()
            entry = {
                "name": path.stem,
                "title": about.get("title", path.stem),
                "description": about.get("description", ""),
                "thumbnail_url": f"/api/v1/workflows/{path.stem}/thumbnail" if picture else None,
            }
            found.append((about.get("order", 1000), entry))
        return [entry for _, entry in sorted(found, key=lambda each: (each[0], each[1]["name"]))]

    return web.json_response({"workflows": await asyncio.to_thread(read)})


def _thumbnail_of(folder: Path, name: str) -> Path:
    return folder / "thumbnails" / f"{name}.webp"


def _inside(folder: Path, name: str) -> Path:
    try:
        path = resolve_inside(folder, name)
    except OutsideFolder as error:
        raise ApiError(403, "outside_folder", f"{error}.") from error
    if not path.is_file():
        raise ApiError(404, "unknown_workflow", f"There is no example workflow {Path(name).stem!r}.")
    return path


async def show_workflow(request: web.Request) -> web.StreamResponse:
    """One example, as the document it is."""
    path = _inside(services(request).workflows_dir, f"{request.match_info['name']}.json")
    return web.FileResponse(path, headers={"Content-Type": "application/json"})


async def show_thumbnail(request: web.Request) -> web.StreamResponse:
    """The picture of one example."""
    folder = services(request).workflows_dir
    path = _inside(folder, f"thumbnails/{request.match_info['name']}.webp")
    return web.FileResponse(path, headers={"Content-Type": "image/webp"})


async def read_workflow_file(request: web.Request) -> web.Response:
    """The workflow inside a posted file, as a native document, and whether it was made in ComfyUI."""
    body = await request.read()
    with refusals():
        document = await services(request).jobs.native(await asyncio.to_thread(read_bytes, body))
    return web.json_response({**document.to_json(), "from_comfyui": document.from_comfyui})
