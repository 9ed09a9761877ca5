from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from diffusion.architecture import LATENT_SCALE, XL_LATENT_SCALE
from diffusion.preview import SD1_LATENT_RGB, SDXL_LATENT_RGB, LatentRgb, latent_rgb, preview_jpeg

RED = LatentRgb(((1, 0, 0), (0, 0, 0), (0, 0, 0), (0, 0, 0)), (0, -1, -1))


@pytest.mark.parametrize(
    ("rows", "columns", "size"), [(16, 16, (128, 128)), (64, 32, (256, 512)), (256, 128, (256, 512)), (1, 1, (8, 8))]
)
def test_a_preview_is_eight_pixels_a_cell_and_at_most_512(rows: int, columns: int, size: tuple[int, int]):
    preview = preview_jpeg(torch.zeros(2, 4, rows, columns))
    picture = Image.open(io.BytesIO(preview.jpeg))
    assert picture.size == size == (preview.width, preview.height)


def test_the_map_decides_the_colours():
    preview = preview_jpeg(torch.ones(1, 4, 8, 8), RED)
    red, green, blue = Image.open(io.BytesIO(preview.jpeg)).convert("RGB").getpixel((20, 20))  # type: ignore[misc]
    assert red > 245
    assert max(green, blue) < 10


def test_values_that_are_no_numbers_still_give_a_picture():
    assert preview_jpeg(torch.full((1, 4, 8, 8), torch.nan)).jpeg


def test_the_map_is_read_from_metadata():
    text = '{"factors": [[1,2,3],[4,5,6],[7,8,9],[0,0,0]], "bias": [0.1, 0.2, 0.3]}'
    found = latent_rgb({"latent_rgb": text}, 4, LATENT_SCALE)
    assert found.factors[1] == (4, 5, 6)
    assert found.bias == (0.1, 0.2, 0.3)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"factors": [[1,2]], "bias": [0,0,0]}', '{"factors": [[1,2,3]], "bias": [0,0,0]}', "null"]
)
def test_a_bad_map_does_not_stop_a_load(text: str):
    assert latent_rgb({"latent_rgb": text}, 4, LATENT_SCALE) == SD1_LATENT_RGB


def test_the_latents_of_sdxl_have_a_map_of_their_own():
    assert latent_rgb({}, 4, XL_LATENT_SCALE) == SDXL_LATENT_RGB
    white = torch.tensor([2.0, 0.0, 0.0, 0.0]).reshape(1, 4, 1, 1).expand(1, 4, 8, 8)
    picture = Image.open(io.BytesIO(preview_jpeg(white, SDXL_LATENT_RGB).jpeg))
    assert np.asarray(picture).min() > 245
