from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from diffusion.errors import BadDevice
from diffusion.worker_resources import create


def test_models_are_made_once_whichever_thread_asks_first(tmp_path: Path):
    resources = create(tmp_path, "cpu", "fp32")
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: resources.residency, range(8)))
    assert len({id(each) for each in made}) == 1
    assert resources.device_class == "cpu/fp32"
    assert resources.residency.library is resources.library


def test_compiling_is_refused_on_a_processor(tmp_path: Path):
    with pytest.raises(BadDevice, match="CUDA GPUs only"):
        _ = create(tmp_path, "cpu", "fp32", compile=True).device_class


def test_freeing_before_anything_is_loaded_is_harmless(tmp_path: Path):
    create(tmp_path).free()


def test_a_device_that_is_not_there_is_reported_when_it_is_needed(tmp_path: Path):
    resources = create(tmp_path, "cuda:77", "auto")
    assert resources.library.list("checkpoints") == ()
    with pytest.raises(BadDevice):
        _ = resources.device_class
