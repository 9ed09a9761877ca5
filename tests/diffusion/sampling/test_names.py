"""The names that nodes offer, and what an unknown one says."""

from __future__ import annotations

import subprocess
import sys

import pytest

from diffusion.errors import DiffusionError
from diffusion.sampling.names import SAMPLERS, SCHEDULES, check_sampler, check_schedule
from diffusion.sampling.samplers import SAMPLER_TABLE
from diffusion.sampling.schedules import SCHEDULE_TABLE


def test_every_name_has_its_function_and_every_function_its_name() -> None:
    assert set(SAMPLERS) == set(SAMPLER_TABLE)
    assert set(SCHEDULES) == set(SCHEDULE_TABLE)
    assert len(set(SAMPLERS)) == len(SAMPLERS) == 43


def test_the_names_load_no_torch() -> None:
    code = "import sys, diffusion.sampling.names; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_unknown_sampler_names_the_nearest() -> None:
    with pytest.raises(DiffusionError, match="dpmpp_2m") as caught:
        check_sampler("dpm++_2m")
    assert caught.value.input == "sampler_name"
    assert caught.value.code == "unknown_sampler"


def test_an_unknown_schedule_names_the_nearest() -> None:
    with pytest.raises(DiffusionError, match="karras") as caught:
        check_schedule("Karras")
    assert caught.value.input == "scheduler"


def test_a_name_like_no_other_lists_them_all() -> None:
    with pytest.raises(DiffusionError, match="linear_quadratic"):
        check_schedule("zzz")
