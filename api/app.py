"""Puts the handlers together into the aiohttp application."""

from __future__ import annotations

from aiohttp import web

from api import catalogue, events, files, jobs, system, workflows
from api.errors import ApiError, errors_as_json
from api.security import guard
from api.services import SERVICES, Services, services
from nodes.sdk.paths import OutsideFolder, resolve_inside

BODY_LIMIT = 72 * 2**20


def create_app(context: Services) -> web.Application:
    """The application over its services; starting and stopping those is the caller's business."""
    settings = context.settings
    app = web.Application(
        middlewares=[errors_as_json, guard(settings.host, settings.token)], client_max_size=BODY_LIMIT
    )
    app[SERVICES] = context
    for module in (jobs, catalogue, files, workflows, system, events):
        app.add_routes(module.routes())
    app.router.add_get("/", page)
    app.router.add_get("/{path:(?!api/).+}", page_file)
    return app


async def page(request: web.Request) -> web.StreamResponse:
    """The editor."""
    index = services(request).web_dir / "index.html"
    if not index.is_file():
        raise ApiError(404, "editor_not_built", "The editor is not built yet; run `python3 run.py setup`.")
    return web.FileResponse(index, headers={"Cache-Control": "no-cache", "X-Frame-Options": "DENY"})


async def page_file(request: web.Request) -> web.StreamResponse:
    """A file of the built editor; those under assets/ carry a digest in their name and never change."""
    folder = services(request).web_dir
    try:
        path = resolve_inside(folder, request.match_info["path"])
    except OutsideFolder as error:
        raise ApiError(404, "not_found", "There is nothing at this address.") from error
    if not path.is_file() or path.name.startswith("."):
        raise ApiError(404, "not_found", "There is nothing at this address.")
    unchanging = path.parent.name == "assets"
    caching = "public, max-age=31536000, immutable" if unchanging else "no-cache"
    return web.FileResponse(path, headers={"Cache-Control": caching})
