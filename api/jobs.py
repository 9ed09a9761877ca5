"""Jobs over HTTP: post a workflow, look at it, cancel it."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from api.errors import ApiError
from api.present import outputs_with_addresses
from api.refusals import refusals
from api.services import services
from executor.formats import Document, read_text
from executor.queue import JOB_STATES, Job

LIST_LIMIT = 500
LARGE_BODY = 64 * 2**10


def routes() -> list[web.RouteDef]:
    return [
        web.post("/api/v1/jobs", submit),
        web.get("/api/v1/jobs", list_jobs),
        web.get("/api/v1/jobs/{id}", show),
        web.delete("/api/v1/jobs/{id}", cancel),
        web.post("/api/v1/check", check),
    ]


def job_json(job: Job, position: int | None = None) -> dict[str, Any]:
    """A job as clients see it; times are seconds since 1970."""
    return {
        "id": job.id,
        "state": job.state,
        "title": job.title,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "attempt": job.attempt,
        "position": position,
        "error": None if job.error is None else dict(job.error),
        "outputs": outputs_with_addresses(job.outputs),
    }


async def read_workflow(request: web.Request) -> Document:
    """The workflow in a request's body: a document, a ComfyUI prompt, or either under the key `workflow`."""
    body = await request.read()
    with refusals():
        return await asyncio.to_thread(read_text, body) if len(body) > LARGE_BODY else read_text(body)


async def submit(request: web.Request) -> web.Response:
    """Queue a workflow. The reply comes after the job is on disk."""
    document = await read_workflow(request)
    with refusals():
        submitted = await services(request).jobs.submit(document)
    reply = {
        "id": submitted.job.id,
        "state": submitted.job.state,
        "position": submitted.position,
        "warnings": [each.to_json() for each in submitted.warnings],
    }
    return web.json_response(reply, status=201, headers={"Location": f"/api/v1/jobs/{submitted.job.id}"})


async def check(request: web.Request) -> web.Response:
    """Everything that is wrong with a workflow, without queueing it."""
    document = await read_workflow(request)
    with refusals():
        problems, warnings = await services(request).jobs.check(document)
    return web.json_response(
        {"problems": [each.to_json() for each in problems], "warnings": [each.to_json() for each in warnings]}
    )


async def list_jobs(request: web.Request) -> web.Response:
    """Jobs, newest first; `state`, `limit` and `before` (an id) narrow the list."""
    state = request.query.get("state")
    if state is not None and state not in JOB_STATES:
        raise ApiError(400, "bad_state", f"`state` is one of {', '.join(JOB_STATES)}.")
    asked = request.query.get("limit", "50")
    if not asked.isdecimal() or not 1 <= int(asked) <= LIST_LIMIT:
        raise ApiError(400, "bad_limit", f"`limit` is a number from 1 to {LIST_LIMIT}.")
    limit = int(asked)
    jobs = services(request).jobs
    found = await jobs.list(state=state, limit=limit + 1, before=request.query.get("before"))
    shown = found[:limit]
    return web.json_response(
        {
            "jobs": [job_json(job, jobs.position(job.id)) for job in shown],
            "next": shown[-1].id if len(found) > limit else None,
        }
    )


async def show(request: web.Request) -> web.Response:
    """One job; `?include=workflow` adds the document it was made from."""
    jobs = services(request).jobs
    with refusals():
        job = await jobs.get(request.match_info["id"])
    reply = job_json(job, jobs.position(job.id))
    if request.query.get("include") == "workflow":
        reply["workflow"] = await jobs.document(job.id)
    return web.json_response(reply)


async def cancel(request: web.Request) -> web.Response:
    """Cancel a queued or running job; a finished one is refused."""
    with refusals():
        job = await services(request).jobs.cancel(request.match_info["id"])
    return web.json_response({"id": job.id, "state": job.state})
