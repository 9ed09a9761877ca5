"""Uploads and downloads stay inside their folders and take nothing but pictures."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import pytest
from aiohttp import FormData
from PIL import Image

from api import thumbnails
from tests.api.conftest import Api


def png(colour: str = "red", size: tuple[int, int] = (8, 4)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "PNG")
    return buffer.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims to be enormous."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def form(data: bytes, name: str) -> FormData:
    body = FormData(quote_fields=False)
    body.add_field("image", data, filename=name, content_type="image/png")
    return body


async def test_an_uploaded_picture_is_listed_and_served(api: Api):
    made = await api.json("POST", "/api/v1/inputs", 201, data=form(png(), "my cat.png"))
    assert (made["name"], made["width"], made["height"]) == ("my cat.png", 8, 4)
    async with api.client.get(made["url"]) as reply:
        assert await reply.read() == png()
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
    listed = await api.json("GET", "/api/v1/inputs")
    assert [each["name"] for each in listed["inputs"]] == ["my cat.png"]


async def test_the_same_picture_is_kept_once_and_another_gets_a_new_name(api: Api):
    names = [
        (await api.json("POST", "/api/v1/inputs", 201, data=form(data, "a.png")))["name"]
        for data in (png("red"), png("red"), png("blue"), png("blue"))
    ]
    assert names == ["a.png", "a.png", "a (1).png", "a (1).png"]


async def test_uploads_need_no_links_and_have_the_rights_of_other_new_files(api: Api, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object, **__: object) -> None:
        raise OSError("this file system knows no links")

    monkeypatch.setattr(os, "link", refuse)
    names = [
        (await api.json("POST", "/api/v1/inputs", 201, data=form(data, "a.png")))["name"]
        for data in (png("red"), png("blue"), png("red"))
    ]
    assert names == ["a.png", "a (1).png", "a.png"]
    folder = api.services.folders.inputs
    assert sorted(path.name for path in folder.iterdir()) == ["a (1).png", "a.png"]
    (folder / "other").touch()
    assert (folder / "a.png").stat().st_mode == (folder / "other").stat().st_mode


@pytest.mark.parametrize(
    ("data", "name", "code"),
    [
        (b"hello", "a.png", "not_a_picture"),
        (png()[:40], "a.png", "not_a_picture"),
        (bomb(50_000, 50_000), "a.png", "not_a_picture"),
        (b"", "a.png", "not_a_picture"),
        (png(), "a.html", "bad_name"),
        (png(), "..", "bad_name"),
        (png(), ".png", "bad_name"),
    ],
)
async def test_what_is_no_picture_is_refused_and_leaves_nothing_behind(api: Api, data: bytes, name: str, code: str):
    reply = await api.json("POST", "/api/v1/inputs", 422, data=form(data, name))
    assert reply["error"]["code"] == code
    assert list(api.services.folders.inputs.iterdir()) == []


async def test_a_name_with_folders_is_stored_under_its_last_part(api: Api):
    made = await api.json("POST", "/api/v1/inputs", 201, data=form(png(), "../../etc/evil.png"))
    assert made["name"] == "evil.png"
    assert [path.name for path in api.services.folders.inputs.iterdir()] == ["evil.png"]


async def test_downloads_do_not_leave_their_folder(api: Api):
    secret = api.services.settings.data_dir / "secret.txt"
    secret.write_text("secret")
    for path in ("..%2Fsecret.txt", "%2e%2e/secret.txt", "..%5Csecret.txt", "a/%2E%2E/%2E%2E/secret.txt"):
        async with api.client.get(f"/api/v1/files/output/{path}") as reply:
            assert reply.status in (403, 404)
            assert "secret" not in (await reply.text()).replace("secret.txt", "")
    async with api.client.get("/api/v1/files/etc/passwd") as reply:
        assert reply.status == 404


async def test_a_moving_picture_is_served_as_one_and_has_a_thumbnail(api: Api):
    frames = [Image.new("RGB", (300, 150), colour) for colour in ("red", "blue")]
    path = api.services.folders.outputs / "moving_00001_.webp"
    frames[0].save(path, "WEBP", save_all=True, append_images=frames[1:], duration=100)
    async with api.client.get("/api/v1/files/output/moving_00001_.webp") as reply:
        assert reply.headers["Content-Type"] == "image/webp"
        assert await reply.read() == path.read_bytes()
    async with api.client.get("/api/v1/thumbnails/output/moving_00001_.webp?size=128") as reply:
        assert Image.open(io.BytesIO(await reply.read())).size == (128, 64)


async def test_thumbnails_are_small_made_once_and_refuse_odd_sizes(api: Api):
    made = await api.json("POST", "/api/v1/inputs", 201, data=form(png(size=(600, 300)), "wide.png"))
    for _ in range(2):
        async with api.client.get(made["thumbnail_url"] + "?size=128") as reply:
            assert Image.open(io.BytesIO(await reply.read())).size == (128, 64)
    assert len(list((api.services.folders.cache / "thumbnails").iterdir())) == 1
    for size in ("0", "x", "99999", "-5"):
        await api.json("GET", made["thumbnail_url"] + f"?size={size}", 400)


def test_a_thumbnail_that_cannot_be_saved_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    (tmp_path / "a.png").write_bytes(png())
    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OSError, match="no space"):
        thumbnails.make_thumbnail(tmp_path / "a.png", tmp_path / "kept", 64)
    assert list((tmp_path / "kept").iterdir()) == []


def test_only_so_many_thumbnails_are_kept_and_the_oldest_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(thumbnails, "KEPT", 4)
    (tmp_path / "a.png").write_bytes(png())
    made = [thumbnails.make_thumbnail(tmp_path / "a.png", tmp_path / "kept", size) for size in range(64, 68)]
    for age, path in enumerate(made):
        os.utime(path, (age, age))
    newest = thumbnails.make_thumbnail(tmp_path / "a.png", tmp_path / "kept", 70)
    assert set((tmp_path / "kept").iterdir()) == {*made[2:], newest}


async def test_a_request_that_is_no_form_is_told_so(api: Api):
    assert (await api.json("POST", "/api/v1/inputs", 400, data=b"x"))["error"]["code"] == "not_multipart"
    other = FormData()
    other.add_field("file", png(), filename="a.png")
    assert (await api.json("POST", "/api/v1/inputs", 400, data=other))["error"]["code"] == "missing_field"
