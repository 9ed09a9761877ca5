"""Noise from a seed."""

from __future__ import annotations

import math

import pytest
import torch

from diffusion.sampling.noise import any_size_noise, brownian_noise, drawn_noise, generator_noise
from diffusion.sampling.run import noise_for
from diffusion.values import Latent, NoiseRef


def test_a_seed_draws_what_torch_draws_on_the_cpu() -> None:
    expected = torch.randn((2, 4, 8, 8), generator=torch.Generator().manual_seed(42))
    assert torch.equal(drawn_noise(torch.Generator().manual_seed(42), (2, 4, 8, 8)), expected)


def test_one_picture_of_a_batch_can_be_drawn_again_by_its_index() -> None:
    batch = drawn_noise(torch.Generator().manual_seed(5), (4, 4, 8, 8), batch_index=(0, 1, 2, 3))
    assert torch.equal(drawn_noise(torch.Generator().manual_seed(5), (1, 4, 8, 8), batch_index=(2,)), batch[2:3])
    assert torch.equal(
        drawn_noise(torch.Generator().manual_seed(5), (3, 4, 8, 8), batch_index=(3, 0, 3)), batch[[3, 0, 3]]
    )


def test_the_largest_seed_draws() -> None:
    assert torch.isfinite(drawn_noise(torch.Generator().manual_seed(2**64 - 1), (1, 4, 2, 2))).all()


def test_generator_noise_is_fresh_at_each_draw() -> None:
    x = torch.zeros(1, 4, 8, 8)
    noise = generator_noise(x, 1)
    first, second = noise(2.0, 1.0), noise(1.0, 0.5)
    assert not torch.equal(first, second)
    assert torch.equal(generator_noise(x, 1)(9.0, 3.0), first)


def test_a_brownian_path_is_the_same_however_it_is_divided() -> None:
    x = torch.zeros(1, 4, 16, 16)
    coarse = brownian_noise(x, [10.0, 0.1, 0.0], 3)
    fine = brownian_noise(x, [10.0, 4.0, 0.1, 0.0], 3)
    whole = coarse(10.0, 0.1) * math.sqrt(9.9)
    parts = fine(10.0, 4.0) * math.sqrt(6.0) + fine(4.0, 0.1) * math.sqrt(3.9)
    assert torch.allclose(whole, parts, atol=1e-4)


@pytest.mark.parametrize(("start", "end"), [(10.0, 4.0), (0.3, 0.1)])
def test_a_brownian_increment_has_unit_variance(start: float, end: float) -> None:
    noise = brownian_noise(torch.zeros(1, 4, 64, 64), [10.0, 4.0, 0.3, 0.1, 0.0], 3)(start, end)
    assert float(noise.std()) == pytest.approx(1.0, abs=0.03)
    assert abs(float(noise.mean())) < 0.03


@pytest.mark.parametrize(("index", "draws"), [(None, 2), ((2, 0), 3)])
def test_the_generator_of_a_run_goes_on_behind_all_that_the_first_noise_took(
    index: tuple[int, ...] | None, draws: int
) -> None:
    expected = torch.Generator().manual_seed(5)
    for _ in range(draws if index else 1):
        torch.randn((1 if index else draws, 4, 8, 8), generator=expected)
    latent, noise_ref = Latent(torch.zeros(2, 4, 8, 8), batch_index=index), NoiseRef(5)
    found = torch.Generator().manual_seed(5)
    first = noise_for(noise_ref, latent, found)
    assert torch.equal(first, noise_for(noise_ref, latent))
    assert torch.equal(torch.randn(4, generator=found), torch.randn(4, generator=expected))
    noise = any_size_noise(found)(torch.zeros(1, 4, 16, 16))
    assert torch.equal(noise, torch.randn((1, 4, 16, 16), generator=expected))
    assert noise.shape == (1, 4, 16, 16)
