from __future__ import annotations

import pytest
from PIL import Image

from training.judge import WEIGHTS, Judge, Verdict, load_judge
from training.judge_train import judge_accuracy, score
from training.renderer import render
from training.scene import GROUNDS, KINDS, TIMES, Scene, SceneObject, held_out_scenes


@pytest.fixture(scope="module")
def judge() -> Judge:
    return load_judge()


def test_the_judge_sees_what_a_render_shows(judge: Judge) -> None:
    verdict = judge.describe(render(Scene("night", "sea", (SceneObject("boat", "red", "large", "centre"),), 3)))
    assert (verdict.time, verdict.ground, verdict.kind, verdict.colour) == ("night", "sea", "boat", "red")
    assert verdict.kinds["boat"] > 0.9
    assert verdict.colours["boat"] == "red"


def test_the_judge_sees_both_objects_of_a_pair(judge: Judge) -> None:
    pair = (SceneObject("house", "red", "small", "left"), SceneObject("tree", "green", "small", "right"))
    verdict = judge.describe(render(Scene("day", "meadow", pair, 8)))
    assert {kind for kind, share in verdict.kinds.items() if share > 0.5} == {"house", "tree"}


def test_a_larger_picture_is_scaled_down(judge: Judge) -> None:
    scene = Scene("day", "desert", (SceneObject("car", "blue", "large", "centre"),), 1)
    large = render(scene).resize((512, 512), Image.Resampling.BICUBIC)
    assert judge.describe(large).kind == "car"


def test_the_judge_is_right_on_held_out_renders(judge: Judge) -> None:
    assert min(judge_accuracy(judge, 240).values()) >= 0.98


def test_scores_count_each_attribute_apart() -> None:
    scene = next(iter(held_out_scenes(1, 1)))
    thing = scene.objects[0]
    right = Verdict(
        scene.time, scene.ground, {k: float(k == thing.kind) for k in KINDS}, dict.fromkeys(KINDS, thing.colour)
    )
    other_time = next(t for t in TIMES if t != scene.time)
    other_ground = next(g for g in GROUNDS if g != scene.ground)
    wrong = Verdict(other_time, other_ground, right.kinds, right.colours)
    assert score([right, wrong], [scene, scene]) == {"time": 0.5, "ground": 0.5, "kind": 1.0, "colour": 1.0}


def test_the_weights_are_small_enough_to_ship() -> None:
    assert WEIGHTS.stat().st_size < 1.5e6
