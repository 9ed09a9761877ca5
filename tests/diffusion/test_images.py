from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from diffusion.errors import BadImage, BadSize
from diffusion.images import RESIZE_METHODS, load_image, resize, resize_by, to_pil


def bomb(path: Path, side: int) -> Path:
    """A PNG of a few bytes whose header states a huge picture."""

    def piece(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + piece(b"IHDR", header) + piece(b"IDAT", zlib.compress(b"\0")) + piece(b"IEND", b"")
    )
    return path


def test_an_rgb_picture_has_an_empty_mask(tmp_path: Path):
    Image.new("RGB", (3, 2), (255, 0, 51)).save(tmp_path / "a.png")
    image, mask = load_image(tmp_path / "a.png")
    assert image.shape == (1, 2, 3, 3)
    assert torch.allclose(image[0, 0, 0], torch.tensor([1.0, 0.0, 0.2]))
    assert mask.shape == (1, 64, 64)
    assert mask.sum() == 0


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_the_mask_is_one_where_a_picture_is_transparent(tmp_path: Path, mode: str):
    picture = Image.new("RGBA", (2, 1), (255, 0, 0, 255))
    picture.putpixel((1, 0), (0, 0, 0, 0))
    picture.convert(mode).save(tmp_path / "a.png")
    _, mask = load_image(tmp_path / "a.png")
    assert mask.tolist() == [[[0.0, 1.0]]]


@pytest.mark.parametrize(("mode", "key"), [("RGB", (255, 0, 0)), ("L", 76)])
def test_a_transparent_colour_counts_only_where_it_is_asked_for(tmp_path: Path, mode: str, key: object):
    picture = Image.new("RGB", (2, 1), (255, 0, 0))
    picture.putpixel((0, 0), (0, 0, 0))
    picture.convert(mode).save(tmp_path / "a.png", transparency=key)
    assert load_image(tmp_path / "a.png")[1].shape == (1, 64, 64)
    assert load_image(tmp_path / "a.png", keyed=True)[1].tolist() == [[[0.0, 1.0]]]


@pytest.mark.parametrize(("form", "ending"), [("JPEG2000", "jp2"), ("PCX", "pcx"), ("DDS", "dds"), ("SGI", "sgi")])
def test_rarer_formats_are_read(tmp_path: Path, form: str, ending: str):
    Image.new("RGB", (8, 4), (255, 0, 51)).save(tmp_path / f"a.{ending}", form)
    image, mask = load_image(tmp_path / f"a.{ending}")
    assert image.shape == (1, 4, 8, 3)
    assert torch.allclose(image, torch.tensor([1.0, 0.0, 0.2]), atol=0.02)
    assert mask.sum() == 0


@pytest.mark.parametrize(
    ("form", "ending", "offset", "size"),
    [
        ("JPEG2000", "j2k", 8, struct.pack(">II", 20_000, 20_000)),  # the image's area in the codestream
        ("PCX", "pcx", 8, struct.pack("<HH", 19_999, 19_999)),
        ("DDS", "dds", 12, struct.pack("<II", 20_000, 20_000)),
        ("SGI", "sgi", 6, struct.pack(">HH", 20_000, 20_000)),
    ],
)
def test_a_bomb_in_a_rarer_format_is_refused_by_its_header(
    tmp_path: Path, form: str, ending: str, offset: int, size: bytes
):
    path = tmp_path / f"bomb.{ending}"
    Image.new("RGB", (8, 4)).save(path, form)
    content = bytearray(path.read_bytes())
    content[offset : offset + len(size)] = size
    path.write_bytes(content)
    with pytest.raises(BadImage, match=r"bomb\.") as caught:
        load_image(path)
    assert caught.value.code == "too_large"


def test_the_cameras_rotation_is_applied(tmp_path: Path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (4, 2)).save(tmp_path / "a.jpg", exif=exif)
    assert load_image(tmp_path / "a.jpg")[0].shape == (1, 4, 2, 3)


def test_sixteen_bit_grey_is_scaled(tmp_path: Path):
    Image.fromarray(np.full((2, 2), 65535, dtype=np.uint16)).save(tmp_path / "a.png")
    assert load_image(tmp_path / "a.png")[0].min() == 1.0


def test_an_animation_gives_a_batch(tmp_path: Path):
    frames = [Image.new("RGB", (4, 4), (shade, 0, 0)) for shade in (0, 128, 255)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], lossless=True)
    assert load_image(tmp_path / "a.webp")[0].shape == (3, 4, 4, 3)


@pytest.mark.parametrize("side", [9_000, 12_000, 50_000])
def test_a_bomb_is_refused_by_its_header(tmp_path: Path, side: int):
    with pytest.raises(BadImage, match=r"bomb\.png") as caught:
        load_image(bomb(tmp_path / "bomb.png", side))
    assert caught.value.code == "too_large"
    assert caught.value.input == "image"
    assert caught.value.hint


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", b"\x89PNG\r\n\x1a\n"]
)
def test_what_is_no_picture_is_refused_by_name(tmp_path: Path, content: bytes):
    path = tmp_path / "no.png"
    path.write_bytes(content)
    with pytest.raises(BadImage, match=r"no\.png"):
        load_image(path)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(form=st.sampled_from(["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"]), keep=st.floats(0, 0.9))
def test_a_picture_cut_short_is_refused_or_read(tmp_path: Path, form: str, keep: float):
    path = tmp_path / f"cut.{form}"
    noise = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path, form)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    with pytest.raises(BadImage):
        load_image(path)


@pytest.mark.parametrize("method", RESIZE_METHODS)
def test_every_method_gives_the_size_asked_for(method: str):
    image = torch.rand(2, 12, 20, 3)
    resized = resize(image, 10, 24, method)
    assert resized.shape == (2, 24, 10, 3)
    assert resized.is_contiguous()


@pytest.mark.parametrize("method", RESIZE_METHODS)
def test_a_flat_picture_stays_flat(method: str):
    image = torch.full((1, 9, 9, 3), 0.2)
    assert torch.allclose(resize(image, 31, 17, method), torch.tensor(0.2), atol=1e-5)


def test_nearest_exact_repeats_pixels():
    image = torch.arange(4.0).reshape(1, 2, 2, 1)
    assert resize(image, 4, 4, "nearest-exact")[0, :, :, 0].tolist() == [[0, 0, 1, 1]] * 2 + [[2, 2, 3, 3]] * 2


def test_zero_keeps_the_proportions():
    image = torch.zeros(1, 10, 20, 3)
    assert resize(image, 0, 30, "area").shape == (1, 30, 60, 3)
    assert resize(image, 30, 0, "area").shape == (1, 15, 30, 3)
    assert resize(image, 0, 0, "area") is image


def test_a_centre_crop_keeps_the_middle():
    image = torch.zeros(1, 4, 8, 1)
    image[:, :, 2:6] = 1.0
    assert resize(image, 4, 4, "nearest-exact", "center").min() == 1.0
    assert resize(image, 4, 4, "nearest-exact").min() == 0.0


@pytest.mark.parametrize(("width", "height"), [(-8, 8), (8, 99_999), (16_000, 16_000)])
def test_sizes_that_cannot_be_made_are_refused(width: int, height: int):
    with pytest.raises(BadSize) as caught:
        resize(torch.zeros(1, 4, 4, 3), width, height, "area")
    assert caught.value.input in ("width", "height")


@pytest.mark.parametrize("factor", [0.0, -1.0, float("nan"), float("inf")])
def test_factors_that_make_no_sense_are_refused(factor: float):
    with pytest.raises(BadSize):
        resize_by(torch.zeros(1, 4, 4, 3), factor, "area")


def test_a_factor_rounds_and_never_reaches_zero():
    assert resize_by(torch.zeros(1, 5, 10, 3), 1.5, "bilinear").shape == (1, 8, 15, 3)
    assert resize_by(torch.zeros(1, 5, 10, 3), 0.01, "bilinear").shape == (1, 1, 1, 3)


def test_eight_bits_round_towards_zero_and_clamp():
    picture = to_pil(torch.tensor([[[-1.0, 0.999, 2.0]]]))
    assert picture.getpixel((0, 0)) == (0, 254, 255)
