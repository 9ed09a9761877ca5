"""How more than two sides of prompts make one prediction."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from diffusion.errors import DiffusionError
from diffusion.sampling.guiders import guide_by
from diffusion.sampling.protocols import Start
from diffusion.sampling.run_patches import RunPatch, Seen
from diffusion.values import CfgRule, Conditioning, DualCfgRule, PerpNegRule
from tests.diffusion.sampling.models import TinyModel, prompt

SHAPE = torch.Size((1, 4, 8, 8))
X = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0)) * 3
SIGMA = 3.0


def ask(rule: CfgRule | DualCfgRule | PerpNegRule, patches: Sequence[RunPatch] = ()):
    model = TinyModel()
    guided = guide_by(model, rule)(Start(torch.zeros(SHAPE)), patches)
    return model, guided


def alone(level: float) -> Tensor:
    return X - SIGMA * (0.5 * torch.tanh(X / math.sqrt(SIGMA**2 + 1)) + level)


def dual(cfg_conds: float, cfg_negative: float, *, nested: bool = False) -> DualCfgRule:
    return DualCfgRule(prompt(0.3), prompt(0.2), prompt(-0.1), cfg_conds, cfg_negative, nested=nested)


def test_one_prompt_alone_is_followed_as_it_is():
    model, guided = ask(CfgRule(prompt(0.3)))
    assert torch.allclose(guided(X, SIGMA), alone(0.3), atol=1e-5)
    assert model.calls[0][0].shape[0] == 1
    positive, unconditional = guided.with_unconditional(X, SIGMA)
    assert torch.allclose(positive, alone(0.3), atol=1e-5)
    assert not unconditional.any()


def test_two_prompts_are_two_steps_from_the_negative():
    model, guided = ask(dual(3.0, 5.0))
    expected = alone(-0.1) + 5.0 * (alone(0.2) - alone(-0.1)) + 3.0 * (alone(0.3) - alone(0.2))
    assert torch.allclose(guided(X, SIGMA), expected, atol=1e-4)
    assert model.calls[0][0].shape[0] == 3
    assert torch.allclose(guided.with_unconditional(X, SIGMA)[1], alone(-0.1), atol=1e-5)


def test_nested_the_second_step_aims_at_the_result_of_the_first():
    _, guided = ask(dual(3.0, 5.0, nested=True))
    aim = alone(0.2) + 3.0 * (alone(0.3) - alone(0.2))
    assert torch.allclose(guided(X, SIGMA), alone(-0.1) + 5.0 * (aim - alone(-0.1)), atol=1e-4)


@pytest.mark.parametrize(("cfg_conds", "rows", "expected"), [(1.0, 1, [0.0, 1.0]), (3.0, 2, [-2.0, 3.0])])
def test_sides_that_do_not_count_are_not_evaluated(cfg_conds: float, rows: int, expected: list[float]):
    model, guided = ask(dual(cfg_conds, 1.0))
    result = guided(X, SIGMA)
    assert model.calls[0][0].shape[0] == rows
    assert torch.allclose(result, expected[0] * alone(0.2) + expected[1] * alone(0.3), atol=1e-4)


class Sloped(TinyModel):
    """Predicts the embedding's first two numbers along two directions that are at right angles."""

    def predict(
        self, x: Tensor, timestep: Tensor, context: Tensor, pooled: Tensor | None = None, residuals: object = None
    ) -> Tensor:
        result = torch.zeros_like(x)
        result[:, 0], result[:, 1] = context[:, 0, 0, None, None], context[:, 0, 1, None, None]
        return result


def towards(first: float, second: float) -> Conditioning:
    made = prompt(0.0)
    made.entries[0].embedding[..., 0], made.entries[0].embedding[..., 1] = first, second
    return made


def test_only_the_perpendicular_part_of_the_negative_is_taken_away():
    rule = PerpNegRule(towards(1.0, 0.0), towards(5.0, 2.0), towards(0.0, 0.0), cfg=4.0, neg_scale=0.5)
    guided = guide_by(Sloped("x0"), rule)(Start(torch.zeros(SHAPE)), ())
    result = guided(X, SIGMA)
    assert torch.allclose(result[:, 0], torch.tensor(4.0))
    assert torch.allclose(result[:, 1], torch.tensor(-4.0))


def test_a_negative_that_is_the_positive_takes_nothing_away():
    rule = PerpNegRule(towards(1.0, 0.5), towards(1.0, 0.5), towards(0.0, 0.0), cfg=4.0, neg_scale=1.0)
    result = guide_by(Sloped("x0"), rule)(Start(torch.zeros(SHAPE)), ())(X, SIGMA)
    assert torch.allclose(result[:, 0], torch.tensor(4.0), atol=1e-5)
    same = PerpNegRule(towards(0.0, 0.0), towards(1.0, 0.0), towards(0.0, 0.0), cfg=4.0, neg_scale=0.0)
    assert not guide_by(Sloped("x0"), same)(Start(torch.zeros(SHAPE)), ())(X, SIGMA).any()


@pytest.mark.parametrize("name", ["cfg", "neg_scale"])
def test_scales_must_be_finite(name: str):
    given = {"cfg": 1.0, "neg_scale": 1.0} | {name: math.nan}
    with pytest.raises(DiffusionError) as caught:
        guide_by(TinyModel(), PerpNegRule(prompt(0.0), prompt(0.0), prompt(0.0), **given))
    assert (caught.value.input, caught.value.code) == (name, "bad_cfg")


class Doubles(RunPatch):
    needs_negative = True

    def after(self, guided: Tensor, seen: Seen) -> Tensor:
        assert seen.negative is not None
        assert torch.allclose(seen.ask(seen.x, "negative", ()), seen.negative, atol=1e-5)
        return guided * 2


@pytest.mark.parametrize(
    "rule",
    [
        CfgRule(prompt(0.2), prompt(-0.1), 5.0),
        dual(0.0, 5.0),
        PerpNegRule(prompt(0.2), prompt(0.2), prompt(-0.1), cfg=5.0, neg_scale=1.0),
    ],
)
def test_a_patch_changes_what_each_rule_gives(rule: CfgRule | DualCfgRule | PerpNegRule):
    expected = 2 * (alone(-0.1) + 5.0 * (alone(0.2) - alone(-0.1)))
    assert torch.allclose(ask(rule, [Doubles()])[1](X, SIGMA), expected, atol=1e-4)


def test_a_patch_may_need_the_negative_at_scale_1():
    model, guided = ask(CfgRule(prompt(0.2), prompt(-0.1), 1.0), [Doubles()])
    assert torch.allclose(guided(X, SIGMA), 2 * alone(0.2), atol=1e-4)
    assert model.calls[0][0].shape[0] == 2


class Perturbs(RunPatch):
    def after(self, guided: Tensor, seen: Seen) -> Tensor:
        return guided + seen.positive


def test_at_two_scales_of_1_there_is_no_step_for_a_patch_to_change():
    assert torch.allclose(ask(dual(1.0, 1.0), [Perturbs()])[1](X, SIGMA), alone(0.3), atol=1e-5)
    expected = alone(0.2) + 2 * (alone(0.3) - alone(0.2)) + alone(0.2)
    assert torch.allclose(ask(dual(2.0, 1.0), [Perturbs()])[1](X, SIGMA), expected, atol=1e-4)
