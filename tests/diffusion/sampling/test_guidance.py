"""How prompts and the guidance scale make one prediction."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from diffusion.errors import DiffusionError
from diffusion.sampling.guidance import Guidance, Sides
from diffusion.sampling.protocols import ModelInputs, Start
from diffusion.sampling.run_patches import RunPatch, Seen
from diffusion.values import CondEntry, Conditioning
from tests.diffusion.sampling.models import LEVELS, TinyModel, prompt, together

SHAPE = torch.Size((1, 4, 8, 8))
X = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0)) * 3


def guide(model: TinyModel, positive: Conditioning, negative: Conditioning, cfg: float = 7.0, x: Tensor = X) -> Tensor:
    return Guidance(model, positive, negative, cfg, shape=x.shape)(x, 3.0)


def alone(level: float, x: Tensor = X, sigma: float = 3.0) -> Tensor:
    """The clean latent that the tiny model means for one prompt."""
    return x - sigma * (0.5 * torch.tanh(x / math.sqrt(sigma**2 + 1)) + level)


def test_both_sides_go_through_the_model_as_one_batch() -> None:
    model = TinyModel()
    result = guide(model, prompt(0.2), prompt(-0.1))
    assert len(model.calls) == 1
    x, timestep, context, pooled = model.calls[0]
    assert x.shape == (2, 4, 8, 8)
    assert context.shape == (2, 77, 8)
    assert pooled is None
    assert timestep.tolist() == [LEVELS.timestep(3.0)] * 2
    assert torch.allclose(result, alone(-0.1) + 7.0 * (alone(0.2) - alone(-0.1)), atol=1e-5)


def test_at_scale_1_the_negative_is_not_evaluated() -> None:
    model = TinyModel()
    assert torch.allclose(guide(model, prompt(0.2), prompt(-0.1), cfg=1.0), alone(0.2), atol=1e-6)
    assert model.calls[0][0].shape[0] == 1


def test_the_unconditional_part_is_evaluated_even_at_scale_1() -> None:
    guidance = Guidance(TinyModel(), prompt(0.2), prompt(-0.1), 1.0, shape=SHAPE)
    denoised, unconditional = guidance.with_unconditional(X, 3.0)
    assert torch.allclose(denoised, alone(0.2), atol=1e-6)
    assert torch.allclose(unconditional, alone(-0.1), atol=1e-6)


class Doubled(RunPatch):
    """Doubles what the positive side adds."""

    def before(self, seen: Seen) -> Seen:
        step = seen.positive - seen.unconditional
        return replace(seen, positive=2 * step + seen.unconditional)


@pytest.mark.parametrize("cfg", [3.0, 1.0])
def test_a_patch_may_change_the_positive_side_before_guidance(cfg: float) -> None:
    patched = Guidance(TinyModel(), prompt(0.2), prompt(-0.1), cfg, shape=SHAPE, patches=(Doubled(),))
    expected = alone(-0.1) + 2 * cfg * (alone(0.2) - alone(-0.1)) if cfg > 1 else 2 * alone(0.2)
    assert torch.allclose(patched(X, 3.0), expected, atol=1e-5)
    denoised, negative = patched.with_unconditional(X, 3.0)
    assert torch.allclose(denoised, alone(-0.1) + 2 * cfg * (alone(0.2) - alone(-0.1)), atol=1e-5)
    assert torch.allclose(negative, alone(-0.1), atol=1e-6)


@pytest.mark.parametrize(("positive", "negative", "passes"), [(77, 77, 1), (154, 77, 1), (231, 154, 1), (385, 77, 2)])
def test_prompts_of_unequal_length_share_a_pass_when_repeating_them_is_cheap(
    positive: int, negative: int, passes: int
) -> None:
    model = TinyModel()
    result = guide(model, prompt(0.2, tokens=positive), prompt(-0.1, tokens=negative))
    assert len(model.calls) == passes
    assert torch.allclose(result, alone(-0.1) + 7.0 * (alone(0.2) - alone(-0.1)), atol=1e-5)


def test_each_picture_of_a_batch_has_its_prompt() -> None:
    model = TinyModel()
    x = X.expand(3, -1, -1, -1)
    result = guide(model, prompt(0.2), prompt(-0.1), x=x)
    assert model.calls[0][0].shape[0] == 6
    assert torch.allclose(result, guide(TinyModel(), prompt(0.2), prompt(-0.1)).expand(3, -1, -1, -1), atol=1e-6)


def test_pooled_vectors_go_along() -> None:
    model = TinyModel()
    guide(model, prompt(0.2, pooled=torch.ones(1, 5)), prompt(-0.1, pooled=torch.zeros(1, 5)))
    pooled = model.calls[0][3]
    assert pooled is not None
    assert pooled[:, 0].tolist() == [1.0, 0.0]


def test_a_v_prediction_is_read_as_one() -> None:
    x0, noise = torch.randn(2, *SHAPE, generator=torch.Generator().manual_seed(0))
    sigma = 2.0
    kept = 1 / math.sqrt(sigma**2 + 1)

    class Velocity(TinyModel):
        def predict(
            self, x: Tensor, timestep: Tensor, context: Tensor, pooled: Tensor | None = None, residuals: object = None
        ) -> Tensor:
            return (kept * noise - kept * sigma * x0).expand(x.shape)

    guidance = Guidance(Velocity("v"), prompt(0.0), prompt(0.0), 1.0, shape=SHAPE)
    assert torch.allclose(guidance(x0 + sigma * noise, sigma), x0, atol=1e-5)


def test_several_prompts_of_one_side_are_averaged_by_strength() -> None:
    both = together(prompt(0.3, strength=3.0), prompt(-0.3, strength=1.0))
    assert torch.allclose(guide(TinyModel(), both, prompt(0.0), cfg=1.0), alone(0.15), atol=1e-5)


def test_a_mask_gives_each_prompt_its_part() -> None:
    left = torch.zeros(1, 8, 8)
    left[..., :4] = 1.0
    both = together(prompt(0.3, mask=left), prompt(-0.3, mask=1 - left))
    result = guide(TinyModel(), both, prompt(0.0), cfg=1.0)
    assert torch.allclose(result[..., :4], alone(0.3)[..., :4], atol=1e-5)
    assert torch.allclose(result[..., 4:], alone(-0.3)[..., 4:], atol=1e-5)


def test_a_prompt_is_silent_outside_its_time() -> None:
    late = prompt(0.3, start_percent=0.5, end_percent=1.0)
    guidance = Guidance(TinyModel(), together(late, prompt(-0.3)), prompt(0.0), 1.0, shape=SHAPE)
    switch = LEVELS.percent_to_sigma(0.5)
    assert torch.allclose(guidance(X, switch * 1.1), alone(-0.3, sigma=switch * 1.1), atol=1e-4)
    assert torch.allclose(guidance(X, switch * 0.9), alone(0.0, sigma=switch * 0.9), atol=1e-4)


def test_an_area_is_sampled_as_its_own_piece_and_fades_at_inner_edges() -> None:
    model = TinyModel()
    x = torch.randn(1, 4, 32, 32, generator=torch.Generator().manual_seed(0))
    both = together(prompt(-0.3), prompt(0.3, area=(32, 16, 0, 0)))
    result = Guidance(model, both, prompt(0.0), 1.0, shape=x.shape)(x, 3.0)
    assert {call[0].shape[-2:] for call in model.calls} == {(32, 32), (32, 16)}
    assert torch.allclose(result[..., 16:], alone(-0.3, x)[..., 16:], atol=1e-5)
    lean = (alone(-0.3, x) - result)[0, 0, 0] / 3.0  # how far the second prompt pulls, by column
    assert torch.allclose(lean[:12], torch.full((12,), 0.3), atol=1e-5)
    assert (lean[12:16].diff() < 0).all()


def test_an_area_is_compared_with_the_negative_in_the_same_piece() -> None:
    model = TinyModel()
    x = torch.randn(1, 4, 32, 32, generator=torch.Generator().manual_seed(0))
    both = together(prompt(-0.3), prompt(0.3, area=("percentage", 1.0, 0.5, 0.0, 0.5)))
    Guidance(model, both, prompt(0.0), 7.0, shape=x.shape)(x, 3.0)
    assert sorted((call[0].shape[0], call[0].shape[-1]) for call in model.calls) == [(2, 16), (2, 32)]


def test_the_box_around_a_mask_is_compared_like_an_area() -> None:
    model = TinyModel()
    x = torch.randn(1, 4, 32, 32, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(1, 32, 32)
    mask[..., 4:20] = 1.0
    both = together(prompt(-0.3), prompt(0.3, mask=mask, area_to_mask_bounds=True))
    Guidance(model, both, prompt(0.0), 7.0, shape=x.shape)(x, 3.0)
    assert sorted((call[0].shape[0], call[0].shape[-1]) for call in model.calls) == [(2, 16), (2, 32)]


def test_the_box_is_around_all_masks_of_a_batch() -> None:
    model = TinyModel()
    x = torch.randn(1, 4, 32, 32, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(2, 32, 32)
    mask[0, :, 4:12], mask[1, :, 12:20] = 1.0, 1.0
    both = together(prompt(-0.3), prompt(0.3, mask=mask, area_to_mask_bounds=True))
    Guidance(model, both, prompt(0.0), 7.0, shape=x.shape)(x, 3.0)
    assert sorted(call[0].shape[-1] for call in model.calls) == [16, 32]


class Told(TinyModel):
    """Keeps what it was told of each prompt."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[bool, CondEntry]] = []

    def inputs(self, entry: CondEntry, start: Start, *, negative: bool) -> ModelInputs:
        self.told.append((negative, entry))
        return super().inputs(entry, start, negative=negative)


def test_the_opposite_of_an_area_keeps_what_its_own_prompt_tells_the_model() -> None:
    model = Told()
    area = prompt(0.3, area=(8, 4, 0, 0), strength=0.5, width=64)
    Guidance(model, together(prompt(0.2), area), prompt(0.0, width=512), 7.0, shape=SHAPE)
    negative, opposite = model.told[-1]
    assert negative
    assert dict(opposite.options) == {"area": (8, 4, 0, 0), "strength": 0.5, "width": 512}


def test_all_sides_but_the_first_are_told_as_negative_and_share_its_control_networks() -> None:
    model = Told()
    sides = {"cond1": prompt(0.3, control=("net",), control_both=True), "cond2": prompt(0.2), "negative": prompt(0.0)}
    Sides(model, sides, start=Start(torch.zeros(SHAPE)))
    assert [negative for negative, _ in model.told] == [False, True, True]
    assert all(entry.options["control"] == ("net",) for _, entry in model.told)


@pytest.mark.parametrize("area", [(8, 8, 0, 8), (8, 8, 40, 0), (0, 8, 0, 0), ("percentage", 0.5, 0.5, 1.0, 0.0)])
def test_an_area_outside_the_picture_is_an_error(area: tuple[object, ...]) -> None:
    with pytest.raises(DiffusionError, match="outside the picture") as caught:
        guide(TinyModel(), prompt(0.1, area=area), prompt(0.0))
    assert caught.value.code == "bad_area"


@pytest.mark.parametrize("cfg", [math.nan, math.inf])
def test_a_scale_that_is_no_number_is_an_error(cfg: float) -> None:
    with pytest.raises(DiffusionError, match="finite") as caught:
        guide(TinyModel(), prompt(0.1), prompt(0.0), cfg=cfg)
    assert caught.value.input == "cfg"


def test_an_empty_conditioning_is_an_error_that_names_its_side() -> None:
    with pytest.raises(DiffusionError, match="negative") as caught:
        guide(TinyModel(), prompt(0.1), Conditioning(()))
    assert caught.value.input == "negative"
