"""The page, errors as JSON, and a mistake of ours that does not leak."""

from __future__ import annotations

import logging

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from api.errors import errors_as_json
from tests.api.conftest import Api, saving


async def test_the_editor_and_its_assets_are_served(api: Api):
    async with api.client.get("/") as page:
        assert page.status == 200
        assert page.headers["Cache-Control"] == "no-cache"
    async with api.client.get("/assets/a.js") as asset:
        assert "immutable" in asset.headers["Cache-Control"]
    for path in ("/nothing.js", "/../server.py", "/assets/%2e%2e/%2e%2e/latentgraph.sqlite3"):
        async with api.client.get(path) as missing:
            assert missing.status == 404


async def test_unknown_addresses_and_methods_answer_in_json(api: Api):
    assert (await api.json("GET", "/api/v1/nothing", 404))["error"]["code"] == "not_found"
    assert (await api.json("PUT", "/api/v1/jobs", 405))["error"]["code"] == "method_not_allowed"


async def test_the_system_tells_what_it_is(api: Api):
    shown = await api.json("GET", "/api/v1/system")
    assert (shown["engine"], shown["device"], shown["precision"]) == ("ready", "cpu", "fp32")
    assert shown["version"]
    assert await api.json("GET", "/healthz") == {"status": "ok", "engine": "ready"}


async def test_an_engine_that_cannot_start_tells_everyone_why(api: Api):
    api.engine.catalogue, api.engine.broken = None, "The card is on fire."
    for method, path, body in (("GET", "/api/v1/nodes", None), ("POST", "/api/v1/jobs", saving())):
        refused = await api.json(method, path, 503, json=body)
        assert refused["error"] == {"code": "engine_failed", "message": "The engine can't start. The card is on fire."}
    shown = await api.json("GET", "/api/v1/system")
    assert (shown["engine"], shown["message"]) == ("failed", "The card is on fire.")
    assert await api.json("GET", "/healthz") == {"status": "ok", "engine": "failed"}
    async with api.client.ws_connect("/api/v1/events") as socket:
        assert (await socket.receive_json())["message"] == "The card is on fire."


async def test_a_mistake_of_ours_is_logged_under_an_id_and_not_shown(caplog: pytest.LogCaptureFixture):
    async def broken(request: web.Request) -> web.Response:
        raise RuntimeError("secret detail")

    app = web.Application(middlewares=[errors_as_json])
    app.router.add_get("/", broken)
    async with TestClient(TestServer(app)) as client:
        with caplog.at_level(logging.ERROR):
            reply = await client.get("/")
        text = await reply.text()
    assert reply.status == 500
    assert "secret detail" not in text
    incident = (await reply.json())["error"]["message"].split()[-1].rstrip(".")
    assert incident in caplog.text
