"""The windows that the encoders of a file read, by what the file holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from diffusion.errors import BadPrompt
from diffusion.library import ModelLibrary
from diffusion.residency import Residency
from diffusion.text.encode import encode
from diffusion.values import ClipRef
from tests.diffusion import test_families, xl
from tests.diffusion.model_files import save


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def residency(folder: Path) -> Residency:
    return Residency(ModelLibrary(folder), "cpu", "fp32")


def test_a_prompt_of_the_refiner_s_own_encoder_takes_the_windows_of_the_other_one(residency: Residency, folder: Path):
    alone = save(
        folder, "clip", "refiner.safetensors", xl.clip(replace(xl.LARGE, root="conditioner.embedders.0.model."))
    )
    clip = residency.clip(ClipRef((alone,)))
    assert encode(clip, "dog " * 76, large="a cat").entries[0].embedding.shape == (1, 154, 128)
    other = save(folder, "clip", "sd2.safetensors", xl.clip(test_families.SD2_CLIP))
    with pytest.raises(BadPrompt, match="one text encoder"):
        encode(residency.clip(ClipRef((other,))), "a dog", large="a cat")


def test_a_long_clip_reads_248_tokens_at_once_and_sdxl_as_many_as_its_shorter_encoder(
    residency: Residency, folder: Path
):
    small = replace(xl.SMALL, root="text_model.", positions=248)
    long = save(folder, "clip", "long.safetensors", xl.clip(small))
    large = save(folder, "clip", "beside.safetensors", xl.clip(replace(xl.LARGE, root="")))
    clip = residency.clip(ClipRef((long,)))
    assert encode(clip, "cat " * 246).entries[0].embedding.shape == (1, 248, 64)
    pair = residency.clip(ClipRef((long, large)))
    assert encode(pair, "a cat").entries[0].embedding.shape == (1, 77, 192)
