"""Jobs over HTTP: post a workflow, look at it, cancel it."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from api.errors import ApiError
from api.present import outputs_with_addresses
from api.services import services
from executor.check import Problem
from executor.formats import BadDocument, Document, read_text
from executor.jobs import EngineNotReady, InvalidWorkflow, JobFinished, QueueFull, UnknownJob
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
    try:
        return await asyncio.to_thread(read_text, body) if len(body) > LARGE_BODY else read_text(body)
    except BadDocument as error:
        problem = error.problem
        raise ApiError(422, problem.code, problem.message, problems=[problem.to_json()]) from error


def refusal(problems: list[Problem], warnings: list[Problem]) -> ApiError:
    count = len(problems)
    message = problems[0].message if count == 1 else f"The workflow has {count} problems."
    return ApiError(
        422,
        "invalid_workflow",
        message,
        problems=[each.to_json() for each in problems],
        warnings=[each.to_json() for each in warnings],
    )


async def submit(request: web.Request) -> web.Response:
    """Queue a workflow. The reply comes after the job is on disk."""
    document = await read_workflow(request)
    try:
        submitted = await services(request).jobs.submit(document)
    except InvalidWorkflow as error:
        raise refusal(list(error.problems), list(error.warnings)) from error
    except EngineNotReady as error:
        raise ApiError(503, "engine_not_ready", str(error)) from error
    except QueueFull as error:
        raise ApiError(429, "queue_full", str(error)) from error
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
    try:
        problems, warnings = services(request).jobs.check(document)
    except EngineNotReady as error:
        raise ApiError(503, "engine_not_ready", str(error)) from error
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
    job = await _job(request)
    reply = job_json(job, jobs.position(job.id))
    if request.query.get("include") == "workflow":
        reply["workflow"] = await jobs.document(job.id)
    return web.json_response(reply)


async def cancel(request: web.Request) -> web.Response:
    """Cancel a queued or running job; a finished one is refused."""
    job_id = request.match_info["id"]
    try:
        job = await services(request).jobs.cancel(job_id)
    except UnknownJob as error:
        raise ApiError(404, "unknown_job", f"There is no job {job_id!r}.") from error
    except JobFinished as error:
        raise ApiError(409, "job_finished", str(error)) from error
    return web.json_response({"id": job.id, "state": job.state})


async def _job(request: web.Request) -> Job:
    job_id = request.match_info["id"]
    try:
        return await services(request).jobs.get(job_id)
    except UnknownJob as error:
        raise ApiError(404, "unknown_job", f"There is no job {job_id!r}.") from error
