"""Prompts combined and given a place and a time, sampled on a reduced checkpoint."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from diffusion.conditioning import combine
from diffusion.errors import DiffusionError
from diffusion.values import CondEntry, Conditioning
from nodes.conditioning import CLIPTextEncode
from nodes.conditioning_ops import (
    ConditioningAverage,
    ConditioningCombine,
    ConditioningConcat,
    ConditioningSetArea,
    ConditioningSetAreaPercentage,
    ConditioningSetAreaStrength,
    ConditioningSetMask,
    ConditioningSetTimestepRange,
    ConditioningZeroOut,
)
from nodes.latent import EmptyLatent
from nodes.loaders import CheckpointLoader
from nodes.sampling import KSampler
from tests.diffusion import tiny
from tests.nodes.fake_context import FakeContext


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> FakeContext:
    folder = tmp_path_factory.mktemp("data")
    tiny.write(folder / "models" / "checkpoints" / "tiny.safetensors")
    return FakeContext(folder)


def encode(job: FakeContext, text: str) -> Conditioning:
    """A prompt, made loud: a random U-Net hardly hears one."""
    made = CLIPTextEncode(job, text, CheckpointLoader(job, "tiny.safetensors").CLIP)
    return Conditioning(tuple(replace(each, embedding=each.embedding * 20) for each in made.entries))


def sample(job: FakeContext, positive: Conditioning, negative: Conditioning | None = None, steps: int = 2):
    model = CheckpointLoader(job, "tiny.safetensors").MODEL
    empty = negative or encode(job, "")
    return KSampler(job, model, positive, empty, EmptyLatent(128, 64), seed=1, steps=steps, cfg=5.0).samples


def entry(value: float, *, tokens: int = 4, width: int = 3, pooled: float | None = None) -> Conditioning:
    made = None if pooled is None else torch.full((1, 2), pooled)
    return Conditioning((CondEntry(torch.full((1, tokens, width), value), made),))


def test_combined_prompts_meet_halfway_at_first(job: FakeContext):
    fox, boat = encode(job, "a fox"), encode(job, "a boat")
    one, other = sample(job, fox, steps=1), sample(job, boat, steps=1)
    both = sample(job, ConditioningCombine(fox, boat), steps=1)
    assert not torch.allclose(one, other, atol=1e-3)
    assert torch.allclose(both, (one + other) / 2, atol=1e-4)


def test_strength_shifts_the_balance_of_combined_prompts(job: FakeContext):
    fox, boat = encode(job, "a fox"), encode(job, "a boat")
    one, other = sample(job, fox, steps=1), sample(job, boat, steps=1)
    both = sample(job, ConditioningCombine(ConditioningSetAreaStrength(fox, 3.0), boat), steps=1)
    assert torch.allclose(both, (3 * one + other) / 4, atol=1e-4)


def test_joined_prompts_follow_one_another():
    joined = ConditioningConcat(entry(1.0), combine(entry(2.0, tokens=2), entry(9.0)))
    assert joined.entries[0].embedding[0, :, 0].tolist() == [1, 1, 1, 1, 2, 2]


def test_joined_prompts_guide_together(job: FakeContext):
    fox, boat = encode(job, "a fox"), encode(job, "a boat")
    joined = ConditioningConcat(fox, boat)
    assert joined.entries[0].embedding.shape[1] == 154
    assert not torch.allclose(sample(job, joined), sample(job, fox), atol=1e-3)


@pytest.mark.parametrize(("tokens", "expected"), [(4, [1.75] * 4), (6, [1.75] * 4), (2, [1.75, 1.75, 0.75, 0.75])])
def test_an_average_has_the_length_of_the_first(tokens: int, expected: list[float]):
    mixed = ConditioningAverage(entry(1.0), entry(4.0, tokens=tokens), 0.75)
    assert mixed.entries[0].embedding[0, :, 0].tolist() == expected


@pytest.mark.parametrize(("to", "source", "expected"), [(1.0, 3.0, 1.5), (None, 3.0, 3.0), (1.0, None, 1.0)])
def test_pooled_vectors_are_averaged_too(to: float | None, source: float | None, expected: float):
    mixed = ConditioningAverage(entry(0.0, pooled=to), entry(0.0, pooled=source), 0.75)
    pooled = mixed.entries[0].pooled
    assert pooled is not None
    assert pooled.tolist() == [[expected, expected]]


@pytest.mark.parametrize("join", [ConditioningConcat, lambda to, source: ConditioningAverage(to, source, 0.5)])
def test_prompts_of_two_encoders_are_not_mixed(join):
    with pytest.raises(DiffusionError, match="3 and 5 wide") as caught:
        join(entry(1.0), entry(1.0, width=5))
    assert caught.value.input == "conditioning_from"


def test_prompts_of_unlike_batches_are_not_joined():
    many = [Conditioning((CondEntry(torch.zeros(count, 4, 3)),)) for count in (1, 2, 3)]
    assert ConditioningConcat(many[2], many[0]).entries[0].embedding.shape == (3, 8, 3)
    with pytest.raises(DiffusionError, match="2 and 3 pictures"):
        ConditioningConcat(many[1], many[2])


@pytest.mark.parametrize("parts", [False, True])
def test_an_area_changes_only_its_place_in_the_first_step(job: FakeContext, parts: bool):
    fox, boat = encode(job, "a fox"), encode(job, "a boat")
    place = ConditioningSetAreaPercentage(boat, 0.5, 1.0, 0.5, 0.0) if parts else (
        ConditioningSetArea(boat, 64, 64, 64, 0)
    )  # fmt: skip
    plain = sample(job, fox, steps=1)
    placed = sample(job, ConditioningCombine(fox, place), steps=1)
    assert torch.allclose(placed[..., :8], plain[..., :8], atol=1e-5)
    assert not torch.allclose(placed[..., 8:], plain[..., 8:], atol=1e-3)


def test_both_ways_to_give_an_area_are_one(job: FakeContext):
    fox, boat = encode(job, "a fox"), encode(job, "a boat")
    pixels, parts = ConditioningSetArea(boat, 64, 64, 64, 0), ConditioningSetAreaPercentage(boat, 0.5, 1.0, 0.5, 0.0)
    results = [sample(job, ConditioningCombine(fox, each)) for each in (pixels, parts)]
    assert torch.equal(results[0], results[1])


def test_an_area_outside_the_picture_is_refused(job: FakeContext):
    place = ConditioningSetArea(encode(job, "a boat"), 64, 64, 128, 0)
    with pytest.raises(DiffusionError, match="outside the picture of 128 by 64") as caught:
        sample(job, place)
    assert (caught.value.input, caught.value.code) == ("positive", "bad_area")


@pytest.mark.parametrize("bounds", ["default", "mask bounds"])
def test_a_mask_limits_its_prompt(job: FakeContext, bounds: str):
    fox, boat = encode(job, "a fox"), encode(job, "a boat")
    mask = torch.zeros(64, 128)
    mask[:, 64:] = 1.0
    plain = sample(job, fox, steps=1)
    masked = ConditioningSetMask(boat, mask, 1.0, bounds)  # type: ignore[arg-type]
    placed = sample(job, ConditioningCombine(fox, masked), steps=1)
    assert torch.allclose(placed[..., :8], plain[..., :8], atol=1e-5)
    assert not torch.allclose(placed[..., 8:], plain[..., 8:], atol=1e-3)


def test_what_the_model_sees_of_a_mask_is_a_choice(job: FakeContext):
    fox, boat = encode(job, "a fox"), encode(job, "a boat")
    mask = torch.zeros(1, 8, 16)
    mask[..., 8:] = 1.0
    results = [
        sample(job, ConditioningCombine(fox, ConditioningSetMask(boat, mask, 1.0, bounds)))  # type: ignore[arg-type]
        for bounds in ("default", "mask bounds")
    ]
    assert not torch.allclose(results[0], results[1], atol=1e-4)


def test_the_strength_of_a_mask_counts(job: FakeContext):
    fox, boat, mask = encode(job, "a fox"), encode(job, "a boat"), torch.ones(1, 8, 16)
    one, other = sample(job, fox, steps=1), sample(job, boat, steps=1)
    both = sample(job, ConditioningCombine(fox, ConditioningSetMask(boat, mask, 3.0)), steps=1)
    assert torch.allclose(both, (one + 3 * other) / 4, atol=1e-4)


def test_a_mask_of_the_wrong_shape_is_refused():
    with pytest.raises(DiffusionError, match="A mask must be"):
        ConditioningSetMask(entry(1.0), torch.zeros(3))


def test_a_time_range_limits_its_prompt(job: FakeContext):
    fox, boat = encode(job, "a fox"), encode(job, "a boat")
    early = ConditioningSetTimestepRange(fox, 0.0, 0.5)
    late = ConditioningSetTimestepRange(boat, 0.5, 1.0)
    switched = sample(job, ConditioningCombine(early, late), steps=6)
    assert not torch.allclose(switched, sample(job, fox, steps=6), atol=1e-3)
    assert not torch.allclose(switched, sample(job, boat, steps=6), atol=1e-3)
    unused = ConditioningCombine(fox, ConditioningSetTimestepRange(boat, 0.999, 1.0))
    assert torch.allclose(sample(job, unused, steps=1), sample(job, fox, steps=1), atol=1e-5)


def test_zeroing_leaves_nothing_of_a_prompt(job: FakeContext):
    zeroed = ConditioningZeroOut(entry(2.0, pooled=3.0)).entries[0]
    assert not zeroed.embedding.any()
    assert zeroed.pooled is not None
    assert not zeroed.pooled.any()
    fox = encode(job, "a fox")
    assert not torch.allclose(sample(job, ConditioningZeroOut(fox)), sample(job, fox), atol=1e-3)


def test_options_set_later_win_and_others_stay():
    place = ConditioningSetArea(entry(1.0), 64, 128, 8, 16, 0.5)
    timed = ConditioningSetTimestepRange(ConditioningSetAreaStrength(place, 2.0), 0.25, 0.75)
    assert dict(timed.entries[0].options) == {
        "area": (16, 8, 2, 1), "area_to_mask_bounds": False, "strength": 2.0,
        "start_percent": 0.25, "end_percent": 0.75,
    }  # fmt: skip
