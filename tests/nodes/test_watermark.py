"""The watermark is invisible, survives a PNG and mild JPEG, and is off unless it is asked for."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from torch import Tensor

from diffusion.errors import BadImage
from diffusion.images import load_image, to_pil
from diffusion.ops.watermark import detect, embed
from nodes.output import SaveImage
from nodes.watermark import ReadWatermark
from tests.conftest import ROOT
from tests.nodes.fake_context import FakeContext

TEXT = "StableDiffusionV1"


def scene(height: int = 256, width: int = 384) -> Tensor:
    """A smooth picture with some texture, and no extremes."""
    rows, columns = torch.linspace(0, 3, height)[:, None, None], torch.linspace(0, 5, width)[None, :, None]
    colours = torch.tensor([0.2, 0.7, 1.1])
    noise = torch.rand(height, width, 3, generator=torch.Generator().manual_seed(1)) * 0.06
    return (0.5 + 0.3 * torch.sin(rows + colours) * torch.cos(columns * 2 + colours) + noise).clamp(0.05, 0.95)[None]


def through(image: Tensor, format: str, **how: int) -> Tensor:
    buffer = io.BytesIO()
    to_pil(image).save(buffer, format, **how)
    return torch.from_numpy(np.array(Pillow.open(buffer).convert("RGB"))).float() / 255


def test_a_saved_picture_carries_the_text_and_looks_the_same(tmp_path: Path):
    job, picture = FakeContext(tmp_path), scene()
    SaveImage(job, picture, "marked", TEXT)
    SaveImage(job, picture, "plain")
    marked, plain = (load_image(path, path.name)[0] for path in job.paths())
    assert ReadWatermark(marked) == TEXT
    assert ReadWatermark(plain) == ""
    assert torch.equal(plain, (picture * 255).round().clamp(0, 255) / 255) or (plain - picture).abs().max() <= 1 / 255
    error = float(((marked - plain) ** 2).mean())
    assert 10 * np.log10(1 / error) > 38


@pytest.mark.parametrize("quality", [95, 85, 75])
def test_the_text_survives_mild_jpeg(quality: int):
    marked = embed(scene(), TEXT)[0]
    assert detect(through(marked, "JPEG", quality=quality)) == TEXT


def test_an_example_picture_can_be_marked():
    path = next(iter(sorted((ROOT / "workflows" / "inputs").glob("*.png"))))
    picture = load_image(path, path.name)[0]
    assert detect(through(embed(picture, "latentgraph")[0], "PNG")) == "latentgraph"


def test_short_texts_and_every_item_of_a_batch_are_marked():
    batch = torch.cat([scene(), 1 - scene()])
    assert [detect(each) for each in embed(batch, "ü")] == ["ü", "ü"]


def test_no_text_is_read_where_none_is():
    pictures = [scene()[0], torch.zeros(256, 256, 3), torch.rand(300, 200, 3), torch.rand(8, 8, 3)]
    assert [detect(each) for each in pictures] == [None] * 4


@pytest.mark.parametrize(("size", "text"), [((64, 64), "x"), ((256, 256), "x" * 18), ((256, 256), "")])
def test_what_cannot_be_marked_is_refused(size: tuple[int, int], text: str):
    with pytest.raises(BadImage) as caught:
        embed(scene(*size), text)
    assert caught.value.input == "watermark"
