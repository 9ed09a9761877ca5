from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from training.scene import (
    COLOUR_NAMES,
    GROUNDS,
    KINDS,
    NATURAL_COLOURS,
    TIMES,
    held_out_combinations,
    held_out_scenes,
    is_held_out,
    scene_at,
)

seeds = st.integers(min_value=0, max_value=2**31)
indices = st.integers(min_value=0, max_value=10**6)


@given(seeds, indices)
def test_a_scene_is_a_pure_function_of_seed_and_index(seed: int, index: int) -> None:
    assert scene_at(seed, index) == scene_at(seed, index)


@given(seeds, indices)
def test_no_training_scene_shows_a_held_out_combination(seed: int, index: int) -> None:
    scene = scene_at(seed, index)
    assert not any(is_held_out(o.kind, o.colour, scene.ground, scene.time) for o in scene.objects)


@given(seeds, indices)
def test_a_colour_goes_untold_only_when_it_is_natural(seed: int, index: int) -> None:
    for thing in scene_at(seed, index).objects:
        assert thing.colour_told or thing.colour in NATURAL_COLOURS[thing.kind]


@given(seeds, indices)
def test_two_objects_never_share_a_side(seed: int, index: int) -> None:
    scene = scene_at(seed, index)
    if len(scene.objects) == 2 and not scene.riding:
        assert scene.objects[0].position != scene.objects[1].position
        assert scene.objects[0].kind != scene.objects[1].kind


def test_about_a_tenth_of_the_combinations_is_held_out() -> None:
    share = len(held_out_combinations()) / (len(KINDS) * len(COLOUR_NAMES) * len(GROUNDS) * len(TIMES))
    assert 0.08 < share < 0.12


def test_held_out_scenes_cover_all_kinds_and_only_held_out_combinations() -> None:
    scenes = list(held_out_scenes(3, 48))
    assert [s.objects[0].kind for s in scenes] == list(KINDS) * 4
    assert all(is_held_out(s.objects[0].kind, s.objects[0].colour, s.ground, s.time) for s in scenes)


def test_every_kind_gets_the_same_share_of_the_scenes() -> None:
    firsts = [scene_at(1, index).objects[0].kind for index in range(240)]
    assert all(15 <= firsts.count(kind) <= 30 for kind in KINDS)


def test_an_astronaut_sometimes_rides_a_horse() -> None:
    riding = [s for s in (scene_at(1, i) for i in range(480)) if s.riding]
    assert riding
    assert all([o.kind for o in s.objects] == ["astronaut", "horse"] for s in riding)
