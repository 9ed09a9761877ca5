"""Nothing in the loop waits for the device: run on tensors without values, any look at one raises."""

from __future__ import annotations

from typing import cast

import pytest
import torch
from torch import Tensor

from diffusion.sampling.guidance import Guidance
from diffusion.sampling.mask import MaskedDenoise
from diffusion.sampling.names import SAMPLERS
from diffusion.sampling.samplers import SAMPLER_TABLE
from diffusion.sampling.schedules import schedule
from tests.diffusion.sampling.models import LEVELS, TinyModel, prompt

X = torch.empty(1, 4, 8, 8, device="meta")


class ModelWithoutValues(TinyModel):
    device = X.device


@pytest.mark.parametrize("name", sorted(set(SAMPLERS) - {"dpm_adaptive"}))  # whose steps depend on its errors
def test_a_sampler_never_looks_at_a_value(name: str) -> None:
    sampler = SAMPLER_TABLE[name]
    options = {**(sampler.level_options(LEVELS) if sampler.level_options else {}), **sampler.options}
    if sampler.noise != "none":
        options["noise"] = lambda sigma, sigma_next: torch.empty_like(X)
    guidance = Guidance(ModelWithoutValues(), prompt(0.1), prompt(-0.1), 7.0, shape=X.shape)
    denoise = MaskedDenoise(guidance, torch.empty(1, 1, 8, 8, device="meta"), X, X)
    result = sampler.run(denoise, X, schedule(LEVELS, "karras", 6).tolist(), report=lambda *_: None, **options)
    assert cast("Tensor", result).device == X.device
