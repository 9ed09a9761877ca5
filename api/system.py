"""What the server is and how it fares."""

from __future__ import annotations

from aiohttp import web

from api.services import VERSION, services


def routes() -> list[web.RouteDef]:
    return [web.get("/healthz", health), web.get("/api/v1/system", system)]


async def health(request: web.Request) -> web.Response:
    """Whether the server answers, and the state of its engine; open to monitors without a token, so nothing more."""
    return web.json_response({"status": "ok", "engine": services(request).jobs.engine.state})


async def system(request: web.Request) -> web.Response:
    """Version, device, precision and folders."""
    context = services(request)
    engine = context.jobs.engine
    return web.json_response(
        {
            "version": VERSION,
            "engine": engine.state,
            "message": engine.message,
            "device": engine.device or context.settings.device,
            "precision": engine.precision or context.settings.precision,
            "data_dir": str(context.settings.data_dir),
            "models_dir": str(context.settings.models_dir),
        }
    )
