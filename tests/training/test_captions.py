from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from training.captions import COLOUR_WORDS, GROUND_PHRASES, GROUND_TAGS, KIND_WORDS, TIME_PHRASES, caption_of
from training.model import taught_tokens
from training.scene import KINDS, scene_at
from training.tokenizer import LENGTH, token_ids

indices = st.integers(min_value=0, max_value=10**6)
seeds = st.integers(min_value=0, max_value=2**31)


@given(indices, seeds)
def test_a_caption_is_a_pure_function_of_scene_and_seed(index: int, seed: int) -> None:
    assert caption_of(scene_at(1, index), seed) == caption_of(scene_at(1, index), seed)


@given(indices, seeds)
def test_a_caption_names_every_object_and_every_colour_it_is_told(index: int, seed: int) -> None:
    scene = scene_at(1, index)
    caption = caption_of(scene, seed)
    for thing in scene.objects:
        assert any(word in caption for word in KIND_WORDS[thing.kind])
        if thing.colour_told:
            assert any(word in caption for word in COLOUR_WORDS[thing.colour])


@given(indices, seeds)
def test_a_caption_is_silent_about_a_ground_it_is_not_told(index: int, seed: int) -> None:
    caption = caption_of(replace(scene_at(1, index), ground_told=False, time_told=True), seed)
    told = [p for table in (GROUND_PHRASES, GROUND_TAGS) for words in table.values() for p in words if " " in p]
    assert not any(phrase in caption for phrase in told)


@settings(deadline=None)  # the first example builds the tokenizer
@given(indices, seeds)
def test_every_token_of_a_caption_is_in_the_taught_vocabulary(index: int, seed: int) -> None:
    assert set(token_ids(caption_of(scene_at(1, index), seed))) <= set(taught_tokens())


def test_one_scene_has_many_wordings() -> None:
    scene = scene_at(1, KINDS.index("boat"))
    assert len({caption_of(scene, seed) for seed in range(100)}) > 60


def test_times_of_day_share_no_wording() -> None:
    wordings = [phrase for phrases_ in TIME_PHRASES.values() for phrase in phrases_]
    assert len(wordings) == len(set(wordings))


def test_token_ids_are_those_of_clip() -> None:
    ids = token_ids("a photograph of an astronaut riding a horse")
    assert ids[:10] == [49406, 320, 8853, 539, 550, 18376, 6765, 320, 4558, 49407]
    assert len(ids) == LENGTH
    assert set(ids[9:]) == {49407}


def test_a_prompt_beyond_77_tokens_is_cut_and_still_ends() -> None:
    ids = token_ids("boat " * 200)
    assert len(ids) == LENGTH
    assert ids[-1] == 49407
