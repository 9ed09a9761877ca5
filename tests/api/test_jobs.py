"""Jobs over HTTP: accepted after a check, followed, listed, cancelled, refused with every problem."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from executor.prepare import Prepared, prepare
from tests.api.conftest import Api, saving, workflow


async def test_a_workflow_runs_and_its_picture_can_be_fetched(api: Api):
    accepted = await api.json("POST", "/api/v1/jobs", 201, json=saving())
    assert (accepted["state"], accepted["position"], accepted["warnings"]) == ("queued", 0, [])
    job = await api.finished(accepted["id"])
    assert job["state"] == "done"
    assert job["created_at"] <= job["started_at"] <= job["finished_at"]
    (file,) = job["outputs"]["b"]
    assert file["filename"] == "out_00001_.png"
    async with api.client.get(file["url"]) as reply:
        assert reply.status == 200
        assert (await reply.read()).startswith(b"\x89PNG")
    async with api.client.get(file["thumbnail_url"]) as reply:
        assert reply.status == 200
        assert reply.content_type == "image/webp"


async def test_a_bare_prompt_and_a_wrapped_workflow_are_taken_too(api: Api):
    bare = saving()["nodes"]
    for body in (bare, {"workflow": saving()}, {"prompt": bare}):
        accepted = await api.json("POST", "/api/v1/jobs", 201, json=body)
        assert (await api.finished(accepted["id"]))["state"] == "done"


async def test_all_problems_come_at_once_with_node_and_input(api: Api):
    broken = workflow(
        a=("Numbre", {}),
        b=("Save", {"value": ["gone", 0]}),
        c=("Save", {"value": ["d", 0]}),
        d=("Number", {"value": 101}),
    )
    reply = await api.json("POST", "/api/v1/jobs", 422, json=broken)
    assert reply["error"]["code"] == "invalid_workflow"
    found = {(each["code"], each["node"], each["input"]) for each in reply["problems"]}
    assert {("dangling_link", "b", "value"), ("above_max", "d", "value"), ("unknown_node", "a", None)} <= found
    assert (await api.json("GET", "/api/v1/jobs"))["jobs"] == []


async def test_check_tells_the_problems_without_queueing(api: Api):
    reply = await api.json("POST", "/api/v1/check", json=workflow(a=("Number", {})))
    assert [each["code"] for each in reply["problems"]] == ["no_output_node"]
    assert (await api.json("POST", "/api/v1/check", json=saving()))["problems"] == []


async def test_a_file_of_comfyuis_editor_that_is_damaged_is_refused_everywhere_alike(api: Api):
    inner = {"id": "s", "nodes": [{"id": 1, "type": "s"}], "links": []}
    body = {"nodes": [{"id": 1, "type": "s"}], "links": [], "definitions": {"subgraphs": [inner]}}
    replies = [
        await api.json("POST", f"/api/v1/{path}", 422, json=body) for path in ("jobs", "check", "workflows/read")
    ]
    assert "contains itself" in replies[0]["error"]["message"]
    assert replies[0] == replies[1] == replies[2]


async def test_checking_a_large_workflow_does_not_hold_up_the_others(api: Api, monkeypatch: pytest.MonkeyPatch):
    threads: list[str] = []
    monkeypatch.setattr("executor.jobs.prepare", _noting(threads))
    many = workflow(**{f"n{index}": ("Number", {}) for index in range(300)}, b=("Save", {"value": ["n0", 0]}))
    await api.json("POST", "/api/v1/check", json=saving())
    await api.json("POST", "/api/v1/check", json=many)
    assert [name == threading.current_thread().name for name in threads] == [True, False]


def _noting(threads: list[str]) -> Callable[..., Prepared]:
    def noted(*arguments: Any) -> Prepared:
        threads.append(threading.current_thread().name)
        return prepare(*arguments)

    return noted


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "bad_document"),
        (b"[]", "bad_document"),
        (b'{"format": "latentgraph/2", "nodes": {}}', "unsupported_format"),
        (b'{"a": {"class_type": "Number", "inputs": {"value": NaN}}}', "not_finite"),
        (b'{"../x": {"class_type": "Number", "inputs": {}}}', "bad_node_id"),
        (b"\xff\xfe", "bad_document"),
    ],
)
async def test_what_is_no_workflow_is_refused_by_name(api: Api, body: bytes, code: str):
    reply = await api.json("POST", "/api/v1/jobs", 422, data=body)
    codes = {reply["error"]["code"], *(each["code"] for each in reply.get("problems", []))}
    assert code in codes
    assert (await api.json("GET", "/healthz"))["status"] == "ok"


async def test_a_failing_node_is_named_with_the_remedy(api: Api):
    broken = workflow(a=("Number", {}), f=("Fail", {"value": ["a", 0]}), b=("Save", {"value": ["f", 0]}))
    job = await api.finished((await api.json("POST", "/api/v1/jobs", 201, json=broken))["id"])
    assert job["state"] == "failed"
    assert (job["error"]["node"], job["error"]["input"], job["error"]["class_type"]) == ("f", "value", "Fail")
    assert job["error"]["message"] == "This never works. Remove the node."


async def test_a_running_job_and_a_waiting_one_can_be_cancelled(api: Api):
    slow = workflow(a=("Wait", {"steps": 1000}), b=("Save", {"value": ["a", 0]}))
    first = (await api.json("POST", "/api/v1/jobs", 201, json=slow))["id"]
    second = (await api.json("POST", "/api/v1/jobs", 201, json=slow))["id"]
    assert (await api.json("DELETE", f"/api/v1/jobs/{second}"))["state"] == "cancelled"
    await api.json("DELETE", f"/api/v1/jobs/{first}")
    assert (await api.finished(first))["state"] == "cancelled"
    refused = await api.json("DELETE", f"/api/v1/jobs/{first}", 409)
    assert refused["error"]["code"] == "job_finished"
    unknown = await api.json("DELETE", "/api/v1/jobs/nothing", 404)
    assert unknown["error"]["code"] == "unknown_job"


async def test_jobs_are_listed_newest_first_in_pages(api: Api):
    ids = [(await api.json("POST", "/api/v1/jobs", 201, json=saving(number)))["id"] for number in range(5)]
    for each in ids:
        await api.finished(each)
    page = await api.json("GET", "/api/v1/jobs?limit=3")
    assert [job["id"] for job in page["jobs"]] == ids[:1:-1]
    rest = await api.json("GET", f"/api/v1/jobs?limit=3&before={page['next']}")
    assert [job["id"] for job in rest["jobs"]] == ids[1::-1]
    assert rest["next"] is None
    assert len((await api.json("GET", "/api/v1/jobs?state=done"))["jobs"]) == 5
    for query in ("state=odd", "limit=0", "limit=x", "limit=9999"):
        await api.json("GET", f"/api/v1/jobs?{query}", 400)


async def test_the_document_of_a_job_comes_back_when_asked_for(api: Api):
    document = saving()
    job_id = (await api.json("POST", "/api/v1/jobs", 201, json=document))["id"]
    shown = await api.json("GET", f"/api/v1/jobs/{job_id}?include=workflow")
    assert shown["workflow"]["nodes"] == document["nodes"]
    assert "workflow" not in await api.json("GET", f"/api/v1/jobs/{job_id}")


async def test_nothing_is_accepted_before_the_nodes_are_known(api: Api):
    api.engine.catalogue = None
    reply = await api.json("POST", "/api/v1/jobs", 503, json=saving())
    assert reply["error"]["code"] == "engine_not_ready"
    async with api.client.get("/api/v1/nodes") as answer:
        assert answer.status == 503
        assert answer.headers["Retry-After"] == "1"
