"""The application over a real job service and database, with an engine that needs no process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from api.app import create_app
from api.services import Services
from diffusion.library import ModelLibrary
from executor.files import Files
from executor.jobs import JobService
from executor.settings import Settings
from tests.api.engine import ThreadEngine
from tests.conftest import ROOT
from tests.executor.conftest import ended

Client = TestClient[web.Request, web.Application]


@dataclass
class Api:
    """A client of the application, and what lies behind it."""

    client: Client
    services: Services
    engine: ThreadEngine

    async def json(self, method: str, path: str, status: int = 200, **how: Any) -> Any:
        """The JSON answer to a request, whose status must be the expected one."""
        async with self.client.request(method, path, **how) as reply:
            body = await reply.json()
            assert reply.status == status, body
            return body

    async def finished(self, job_id: str) -> Any:
        """A job once it has ended."""
        await ended(self.services.jobs, job_id, 10)
        return await self.json("GET", f"/api/v1/jobs/{job_id}")


async def make_api(data_dir: Path, **settings: Any) -> Api:
    configured = Settings(data_dir=data_dir, models_dir=data_dir / "models", **settings)
    folders = configured.folders
    folders.create()
    (configured.models_dir / "checkpoints").mkdir(parents=True, exist_ok=True)
    web_dir = data_dir / "web"
    (web_dir / "assets").mkdir(parents=True, exist_ok=True)
    (web_dir / "index.html").write_text("<title>editor</title>")
    (web_dir / "assets" / "a.js").write_text("1")
    library = ModelLibrary(configured.models_dir)
    engine = ThreadEngine(folders, configured.models_dir)
    jobs = JobService(configured.database, engine, Files(library, folders))
    services = Services(configured, jobs, library, folders, ROOT / "workflows", web_dir)
    await jobs.start()
    client = TestClient(TestServer(create_app(services)))
    await client.start_server()
    return Api(client, services, engine)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    made = await make_api(tmp_path)
    yield made
    await made.client.close()
    await made.services.jobs.stop()


def workflow(**nodes: Any) -> dict[str, Any]:
    """A document of nodes given as `name=("Class", {inputs})`."""
    return {
        "format": "latentgraph/1",
        "nodes": {key: {"class_type": kind, "inputs": inputs} for key, (kind, inputs) in nodes.items()},
    }


def saving(value: int = 1) -> dict[str, Any]:
    """A workflow that saves one picture."""
    return workflow(a=("Number", {"value": value}), b=("Save", {"value": ["a", 0]}))
