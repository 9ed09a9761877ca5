"""The event stream: ordered, numbered, with previews as binary frames, and replayed on request."""

from __future__ import annotations

import asyncio
import json
import struct
from typing import Any

import pytest
from aiohttp import ClientConnectionResetError, WSMsgType

from tests.api.conftest import Api, saving, workflow

ENDS = ("job_done", "job_failed", "job_cancelled")


async def listen(api: Api, body: dict[str, Any]) -> tuple[str, list[dict[str, Any]], list[bytes]]:
    """Post a workflow and collect its events until it ends."""
    events: list[dict[str, Any]] = []
    frames: list[bytes] = []
    async with api.client.ws_connect("/api/v1/events") as socket:
        hello = await socket.receive_json()
        assert (hello["type"], hello["engine"]) == ("hello", "ready")
        job_id = (await api.json("POST", "/api/v1/jobs", 201, json=body))["id"]
        async with asyncio.timeout(10):
            async for message in socket:
                if message.type is WSMsgType.BINARY:
                    frames.append(message.data)
                    continue
                event = json.loads(message.data)
                if event.get("job") == job_id:
                    events.append(event)
                    if event["type"] in ENDS:
                        break
    return job_id, events, frames


async def test_the_events_of_a_job_are_numbered_and_in_order(api: Api):
    _, events, _ = await listen(api, saving())
    kinds = [event["type"] for event in events]
    assert kinds == ["job_queued", "job_started", *["node_started", "node_done"] * 2, "job_done"]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["outputs"]["b"][0]["url"].startswith("/api/v1/files/output/out_00001_")


async def test_a_second_run_is_cached_and_still_shows_its_picture(api: Api):
    await listen(api, saving())
    _, events, _ = await listen(api, saving())
    kinds = [event["type"] for event in events]
    assert kinds == ["job_queued", "job_started", "nodes_cached", "job_done"]
    assert sorted(events[2]["nodes"]) == ["a", "b"]
    assert events[2]["outputs"]["b"][0]["thumbnail_url"]


async def test_previews_come_as_binary_frames(api: Api):
    job_id, events, frames = await listen(api, workflow(a=("Wait", {"steps": 3}), b=("Save", {"value": ["a", 0]})))
    assert frames
    (length,) = struct.unpack(">I", frames[0][:4])
    header = json.loads(frames[0][4 : 4 + length])
    assert (header["type"], header["job"], header["node"]) == ("node_preview", job_id, "a")
    assert frames[0][4 + length :] == b"jpeg"
    assert any(event["type"] == "node_progress" for event in events)


async def test_who_was_away_gets_what_was_missed(api: Api):
    job_id, events, _ = await listen(api, saving())
    async with api.client.ws_connect("/api/v1/events") as socket:
        await socket.receive_json()
        await socket.send_json({"type": "subscribe", "job": job_id, "since": 2})
        missed = [await socket.receive_json(timeout=5) for _ in events[2:]]
    assert missed == events[2:]


async def test_a_message_that_makes_no_sense_is_answered_not_fatal(api: Api):
    async with api.client.ws_connect("/api/v1/events") as socket:
        await socket.receive_json()
        for text in ("{", "[]", "3", '{"type": "subscribe"}', '{"type": "subscribe", "job": 1}'):
            await socket.send_str(text)
            assert (await socket.receive_json(timeout=5))["error"]["code"] == "bad_message"


async def test_a_client_that_goes_while_it_is_told_what_it_missed_is_no_incident(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    job_id, _, _ = await listen(api, saving())
    gone = asyncio.Event()

    async def send(_: object, __: object) -> None:
        gone.set()
        raise ClientConnectionResetError("Cannot write to closing transport")

    async with api.client.ws_connect("/api/v1/events") as socket:
        await socket.receive_json()
        monkeypatch.setattr("api.events._send_event", send)
        await socket.send_json({"type": "subscribe", "job": job_id, "since": 0})
        await asyncio.wait_for(gone.wait(), 5)
        assert (await socket.receive(timeout=5)).type is WSMsgType.CLOSE
    assert "incident" not in caplog.text
