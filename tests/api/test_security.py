"""Other web pages and other machines are kept out."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiohttp import WSServerHandshakeError
from hypothesis import given
from hypothesis import strategies as st

from api.security import is_loopback
from tests.api.conftest import Api, make_api, saving

EVIL = "http://evil.example"


async def test_a_foreign_host_name_is_refused(api: Api):
    for host in ("evil.example", "evil.example:8188", "127.0.0.1.evil.example", ""):
        reply = await api.json("GET", "/api/v1/system", 403, headers={"Host": host})
        assert reply["error"]["code"] == "bad_host"
    for host in ("localhost:1", "127.0.0.1", "[::1]:8188"):
        await api.json("GET", "/api/v1/system", headers={"Host": host})


async def test_a_page_of_another_site_can_neither_post_nor_listen(api: Api):
    reply = await api.json("POST", "/api/v1/jobs", 403, json=saving(), headers={"Origin": EVIL})
    assert reply["error"]["code"] == "bad_origin"
    await api.json("GET", "/api/v1/jobs", 403, headers={"Origin": "null"})
    with pytest.raises(WSServerHandshakeError) as refused:
        await api.client.ws_connect("/api/v1/events", headers={"Origin": EVIL})
    assert refused.value.status == 403
    host = f"127.0.0.1:{api.client.port}"
    await api.json("GET", "/api/v1/jobs", headers={"Origin": f"http://{host}", "Host": host})


async def test_a_server_for_other_machines_demands_its_token(tmp_path: Path):
    api = await make_api(tmp_path, host="0.0.0.0", token="s3cret")
    try:
        assert (await api.json("GET", "/api/v1/jobs", 401))["error"]["code"] == "token_required"
        await api.json("GET", "/api/v1/jobs", 401, headers={"Authorization": "Bearer wrong"})
        await api.json("GET", "/healthz")
        await api.json("GET", "/api/v1/jobs", headers={"Authorization": "Bearer s3cret", "Host": "my-machine:8188"})
        async with api.client.get("/?token=s3cret") as page:
            assert page.status == 200
            assert page.cookies["latentgraph_token"]["httponly"]
        await api.json("GET", "/api/v1/jobs", cookies={"latentgraph_token": "s3cret"})
    finally:
        await api.client.close()
        await api.services.jobs.stop()


async def answered(api: Api, *headers: bytes) -> bytes:
    """The status line of the answer to a request with these raw headers, as no HTTP library would send them."""
    reader, writer = await asyncio.open_connection("127.0.0.1", api.client.port)
    writer.write(b"\r\n".join((b"GET /api/v1/system HTTP/1.1", *headers, b"Connection: close", b"", b"")))
    status = await reader.readline()
    writer.close()
    return status


async def test_headers_that_make_no_sense_are_refused_as_foreign_ones(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    own, other = await make_api(tmp_path / "own"), await make_api(tmp_path / "other", host="0.0.0.0", token="s3cret")
    try:
        for host in (b"[", b"[::1", b"]", b"\xff", b"[localhost]"):
            assert b" 403 " in await answered(own, b"Host: " + host)
        for origin in (b"http://[", b"http://[::1", b"\xff", b"//"):
            assert b" 403 " in await answered(own, b"Host: localhost", b"Origin: " + origin)
        for token in (b"Bearer \xff", b"Bearer ", b"\xff"):
            assert b" 401 " in await answered(other, b"Host: a", b"Authorization: " + token)
            assert b" 401 " in await answered(other, b"Host: a", b"Cookie: latentgraph_token=" + token)
    finally:
        for api in (own, other):
            await api.client.close()
            await api.services.jobs.stop()
    assert "incident" not in caplog.text


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.1", "::1", "[::1]", "a.localhost"])
def test_loopback_names_are_known(host: str):
    assert is_loopback(host)


@given(st.text())
def test_no_text_makes_the_loopback_check_fail(text: str):
    assert is_loopback(text) in (True, False)
    assert not is_loopback(f"{text}.example")
