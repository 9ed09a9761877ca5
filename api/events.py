"""The event stream: everything that happens to jobs, as JSON and binary frames over one WebSocket.

A client that was away says `{"type": "subscribe", "job": ID, "since": SEQ}` and gets what it missed of that job.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
from collections.abc import Mapping
from typing import Any

from aiohttp import WSMsgType, web

from api.present import event_json
from api.services import VERSION, Services, services
from executor.events import NodePreview
from executor.jobs import SlowSubscriber, StampedEvent, Subscription

HEARTBEAT_SECONDS = 20.0
MESSAGE_LIMIT = 64 * 2**10


def routes() -> list[web.RouteDef]:
    return [web.get("/api/v1/events", events)]


async def events(request: web.Request) -> web.StreamResponse:
    """The WebSocket itself: a `hello`, then every event as it happens."""
    context = services(request)
    socket = web.WebSocketResponse(heartbeat=HEARTBEAT_SECONDS, max_msg_size=MESSAGE_LIMIT)
    await socket.prepare(request)
    # A client may go at any moment, also in the middle of what it asked for.
    with contextlib.suppress(ConnectionError), context.jobs.subscribe() as subscription:
        engine = context.jobs.engine
        await send_json(
            socket,
            {
                "type": "hello",
                "version": VERSION,
                "engine": engine.state,
                "device": engine.device,
                "precision": engine.precision,
                "message": engine.message,
                "queue": context.jobs.queue_state(),
            },
        )
        sending = asyncio.create_task(_send(socket, subscription))
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await _receive(socket, context, message.data)
        finally:
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sending
    return socket


async def send_json(socket: web.WebSocketResponse, message: Mapping[str, Any]) -> None:
    await socket.send_str(json.dumps(message, separators=(",", ":")))


async def _send(socket: web.WebSocketResponse, subscription: Subscription) -> None:
    try:
        async for event in subscription:
            await _send_event(socket, event)
    except SlowSubscriber:
        await socket.close(code=1013, message=b"too slow: reconnect and ask for what was missed")
    except ConnectionError:
        return


async def _send_event(socket: web.WebSocketResponse, stamped: StampedEvent) -> None:
    event = stamped.event
    if isinstance(event, NodePreview):
        await socket.send_bytes(preview_frame(stamped.to_json(), event.jpeg))
    else:
        await send_json(socket, event_json(stamped.to_json()))


def preview_frame(header: Mapping[str, Any], jpeg: bytes) -> bytes:
    """A binary frame: the header's length (32 bits, big-endian), the header as JSON, the JPEG."""
    text = json.dumps(header, separators=(",", ":")).encode()
    return struct.pack(">I", len(text)) + text + jpeg


async def _receive(socket: web.WebSocketResponse, context: Services, text: str) -> None:
    try:
        message = json.loads(text)
        job, since = message["job"], message.get("since", 0)
        understood = message["type"] == "subscribe" and isinstance(job, str) and isinstance(since, int)
    except (ValueError, TypeError, KeyError, AttributeError):
        understood = False
        job, since = "", 0
    if not understood:
        problem = {"code": "bad_message", "message": 'Send {"type": "subscribe", "job": ID, "since": SEQ}.'}
        await send_json(socket, {"type": "error", "error": problem})
        return
    for event in context.jobs.replay(job, since):
        await _send_event(socket, event)
