"""Batches saved as moving pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from executor.formats.pictures import metadata
from nodes.animation import SaveAnimatedPNG, SaveAnimatedWEBP
from nodes.sdk import NodeError
from tests.nodes.fake_context import FakeContext
from tests.nodes.test_output import PROMPT


@pytest.fixture
def job(tmp_path: Path) -> FakeContext:
    return FakeContext(tmp_path, PROMPT)


def frames(count: int = 3) -> torch.Tensor:
    shades = torch.arange(count, dtype=torch.float32) / count
    return shades.reshape(-1, 1, 1, 1).repeat(1, 4, 6, 3)


def shown(path: Path) -> list[tuple[int, int]]:
    """The level of the first pixel and the milliseconds of each frame."""
    found: list[tuple[int, int]] = []
    with Image.open(path) as picture:
        for number in range(getattr(picture, "n_frames", 1)):
            picture.seek(number)
            picture.load()
            found.append((int(picture.convert("RGB").tobytes()[0]), int(picture.info["duration"])))
    return found


def test_a_png_has_a_frame_for_each_picture_and_the_workflow_inside(job: FakeContext):
    SaveAnimatedPNG(job, frames(), "moving/%seed%", fps=6.0)
    (path,) = job.paths()
    assert job.published[0].relative == "moving/123_00001_.png"
    assert (job.published[0].media, job.published[0].width, job.published[0].height) == ("image/png", 6, 4)
    assert shown(path) == [(0, 166), (85, 166), (170, 166)]
    texts = {name: str(text) for name, text in metadata(path.read_bytes()).items()}
    assert json.loads(texts["prompt"]) == PROMPT
    assert json.loads(texts["workflow"])["format"] == "latentgraph/1"
    assert texts["parameters"].startswith("a red fox")


@pytest.mark.parametrize(("lossless", "method"), [(True, "default"), (False, "fastest"), (True, "slowest")])
def test_a_webp_has_a_frame_for_each_picture_and_the_workflow_inside(job: FakeContext, lossless: bool, method: Any):
    SaveAnimatedWEBP(job, frames(), "moving", fps=8.0, lossless=lossless, quality=90, method=method)
    (path,) = job.paths()
    assert (path.suffix, job.published[0].media) == (".webp", "image/webp")
    for (level, milliseconds), expected in zip(shown(path), (0, 85, 170), strict=True):
        assert abs(level - expected) <= (0 if lossless else 3)
        assert milliseconds == 125
    texts = {name: str(text) for name, text in metadata(path.read_bytes()).items()}
    assert json.loads(texts["prompt"]) == PROMPT
    assert json.loads(texts["workflow"])["format"] == "latentgraph/1"
    with Image.open(path) as picture:
        comment = picture.getexif().get_ifd(0x8769)[0x9286]
    assert comment.removeprefix(b"UNICODE\0").decode("utf-16-be").startswith("a red fox, détail")


def test_a_single_picture_is_saved_too(job: FakeContext):
    SaveAnimatedPNG(job, frames(1))
    SaveAnimatedWEBP(job, frames(1))
    for path in job.paths():
        with Image.open(path) as picture:
            assert picture.size == (6, 4)


def test_transparency_is_kept(job: FakeContext):
    SaveAnimatedPNG(job, torch.rand(2, 4, 6, 4))
    with Image.open(job.paths()[0]) as picture:
        assert picture.mode == "RGBA"


def test_a_frame_may_be_shown_for_long(job: FakeContext):
    SaveAnimatedPNG(job, frames(2), fps=0.01)
    assert shown(job.paths()[0]) == [(0, 100_000), (127, 100_000)]


def test_sides_that_a_webp_can_not_have_are_refused(job: FakeContext):
    with pytest.raises(NodeError, match="16383 pixels") as caught:
        SaveAnimatedWEBP(job, torch.zeros(1, 1, 16384, 3))
    assert caught.value.input == "images"
