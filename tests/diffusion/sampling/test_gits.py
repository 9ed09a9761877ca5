"""The published GITS schedules."""

from __future__ import annotations

import json
import math

import pytest
import torch

from diffusion.errors import DiffusionError
from diffusion.sampling.gits import TIMES, gits

COEFFICIENTS = [0.8 + 0.05 * i for i in range(15)]

# Figures of the paper's tables, in the authors' eight digits.
PUBLISHED = {
    (1.2, 5): (14.61464119, 2.84484982, 1.24153244, 0.59516323, 0.25053367),
    (0.8, 5): (14.61464119, 11.54541874, 7.49001646, 5.85520077, 2.05039096),
    (1.5, 10): (
        14.61464119, 1.84880662, 0.95350921, 0.59516323, 0.41087446, 0.29807833, 0.22545385, 0.17026083, 0.13792117,
        0.09824532,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("coefficient", "steps"), PUBLISHED)
def test_the_levels_are_the_published_ones(coefficient: float, steps: int):
    made = gits(coefficient, steps)
    assert made[:-1].tolist() == pytest.approx(PUBLISHED[coefficient, steps], rel=1e-5)
    assert made[-1] == 0.0


def test_there_is_a_falling_schedule_for_each_coefficient_and_number_of_steps():
    rows = json.loads(TIMES.read_text("ascii"))
    assert [float(each) for each in rows] == pytest.approx(COEFFICIENTS)
    for coefficient in COEFFICIENTS:
        for steps in (2, 3, 7, 20, 21, 64):
            made = gits(coefficient, steps)
            assert len(made) == steps + 1
            assert (made.diff() < 0).all()


def test_more_than_twenty_steps_are_interpolated_in_log_sigma():
    twenty, forty = gits(1.2, 20), gits(1.2, 40)
    assert torch.allclose(forty[:-1:2], twenty[:-1], rtol=1e-5)
    assert float(forty[1]) == pytest.approx(math.sqrt(float(twenty[0] * twenty[1])), rel=1e-5)


def test_a_part_of_the_denoising_is_the_last_steps():
    assert torch.equal(gits(1.2, 10, 0.25), gits(1.2, 10)[-3:])
    assert gits(1.2, 10, 0.0).numel() == 0


@pytest.mark.parametrize(("coefficient", "steps", "blamed"), [(1.21, 10, "coeff"), (1.2, 1, "steps")])
def test_what_has_no_schedule_is_refused(coefficient: float, steps: int, blamed: str):
    with pytest.raises(DiffusionError) as caught:
        gits(coefficient, steps)
    assert caught.value.input == blamed
