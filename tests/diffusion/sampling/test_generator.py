"""What a run's own generator has drawn when a patch draws from it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import pytest
import torch
from torch import Tensor

from diffusion.sampling.custom import sampler_of
from diffusion.sampling.guiders import guide_by
from diffusion.sampling.protocols import Start
from diffusion.sampling.run import run
from diffusion.sampling.run_patches import PassInfo, RunPatch
from diffusion.values import CfgRule, Latent, NoiseRef, SamplerRef
from tests.diffusion.sampling.models import TinyModel, prompt

SHAPE = (2, 4, 8, 8)


class Draws(RunPatch):
    """A patch that draws a number in each pass."""

    def __init__(self, generator: torch.Generator) -> None:
        self._generator = generator
        self.drawn: list[Tensor] = []

    def during(self, call: PassInfo) -> AbstractContextManager[object]:
        self.drawn.append(torch.rand(1, generator=self._generator))
        return nullcontext()


class Drawing(TinyModel):
    patch: Draws

    def run_patches(self, start: Start, sigmas: Sequence[float]) -> tuple[RunPatch, ...]:
        del sigmas
        assert start.generator is not None
        self.patch = Draws(start.generator)
        return (self.patch,)


def drawn(name: str, index: tuple[int, ...] | None = None) -> list[float]:
    model = Drawing()
    latent = Latent(torch.zeros(SHAPE), batch_index=index)
    run(
        model, guide_by(model, CfgRule(prompt(0.1))), sampler_of(SamplerRef(name)), torch.tensor([5.0, 1.0, 0.0]),
        latent=latent, noise=NoiseRef(7),
    )  # fmt: skip
    return [float(each) for each in model.patch.drawn]


def expected(seed: int, first: Sequence[tuple[int, ...]], between: Sequence[bool]) -> list[float]:
    """Numbers after some draws of noise, with another draw of the latent's shape before each that asks for one."""
    generator = torch.Generator().manual_seed(seed)
    for shape in first:
        torch.randn(shape, generator=generator)
    found: list[float] = []
    for fresh in between:
        if fresh:
            torch.randn(SHAPE, generator=generator)
        found.append(float(torch.rand(1, generator=generator)))
    return found


def test_patches_draw_behind_the_first_noise():
    assert drawn("euler") == expected(7, [SHAPE], [False, False])


def test_a_batch_index_has_drawn_one_picture_after_another():
    assert drawn("euler", (3, 1)) == expected(7, [(1, *SHAPE[1:])] * 4, [False, False])


def test_ddim_draws_from_the_next_seed_without_a_mask_too():
    assert drawn("ddim") == expected(8, [SHAPE], [False, False])


@pytest.mark.parametrize("index", [None, (0, 1)])
def test_heunpp2_draws_noise_before_each_step(index: tuple[int, ...] | None):
    first = [SHAPE] if index is None else [(1, *SHAPE[1:])] * 2
    assert drawn("heunpp2", index) == expected(7, first, [True, False, True])
