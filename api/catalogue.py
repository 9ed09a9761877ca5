"""What there is to build with: the nodes and the model files."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from api.errors import ApiError
from api.files import PICTURES
from api.refusals import refusals
from api.services import Services, services
from executor.files import has_ending, input_names
from nodes.sdk.types import WIDENING


def routes() -> list[web.RouteDef]:
    return [
        web.get("/api/v1/nodes", list_nodes),
        web.get("/api/v1/models", list_models),
        web.get("/api/v1/models/{kind}", list_kind),
    ]


async def list_nodes(request: web.Request) -> web.Response:
    """Every node, with the choices of its file inputs as they are on disk now."""
    context = services(request)
    with refusals():
        catalogue = context.jobs.require_catalogue()

    def read() -> dict[str, Any]:
        nodes = catalogue.to_json()
        listed: dict[str, list[str]] = {}
        for node in nodes:
            for each in node["inputs"]:
                if each["widget"] in ("model", "image"):
                    kind = each["model_kind"] or " ".join(each["endings"] or sorted(PICTURES))
                    if kind not in listed:
                        listed[kind] = _file_names(context, each)
                    each["choices"] = listed[kind]
        reports = [{"name": pack.name, "ok": pack.ok, "error": pack.error} for pack in context.jobs.packs]
        return {"nodes": nodes, "packs": reports, "widening": {each: list(wider) for each, wider in WIDENING.items()}}

    return web.json_response(await asyncio.to_thread(read))


def _file_names(context: Services, input: Mapping[str, Any]) -> list[str]:
    kind = input["model_kind"]
    if kind is None:
        endings = input["endings"] or PICTURES
        return [name for name in input_names(context.folders.inputs) if has_ending(name, endings)]
    return [entry.name for entry in context.models.list(kind)] if kind in context.models.kinds() else []


def _entries(context: Services, kind: str) -> list[dict[str, Any]]:
    return [{"name": entry.name, "size": entry.size, "modified": entry.modified} for entry in context.models.list(kind)]


async def list_models(request: web.Request) -> web.Response:
    """The model files of every kind, with size in bytes and time of change."""
    context = services(request)

    def read() -> dict[str, Any]:
        return {kind: _entries(context, kind) for kind in context.models.kinds()}

    return web.json_response(await asyncio.to_thread(read))


async def list_kind(request: web.Request) -> web.Response:
    """The model files of one kind."""
    context = services(request)
    kind = request.match_info["kind"]
    if kind not in context.models.kinds():
        known = ", ".join(context.models.kinds())
        raise ApiError(404, "unknown_kind", f"There is no kind of model {kind!r}; there are {known}.")
    return web.json_response({kind: await asyncio.to_thread(_entries, context, kind)})
