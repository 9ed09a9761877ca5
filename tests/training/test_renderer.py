from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from training.palette import COLOURS
from training.renderer import SIZE, render
from training.scene import GROUNDS, KINDS, TIMES, Scene, SceneObject, scene_at


def _pixels(scene: Scene) -> np.ndarray:
    return np.asarray(render(scene)).astype(np.float32)


def test_the_same_scene_gives_the_same_picture() -> None:
    assert np.array_equal(_pixels(scene_at(4, 17)), _pixels(scene_at(4, 17)))


def test_another_jitter_gives_another_picture() -> None:
    scene = scene_at(4, 17)
    assert not np.array_equal(_pixels(scene), _pixels(replace(scene, jitter=scene.jitter + 1)))


@pytest.mark.parametrize("kind", KINDS)
def test_an_object_covers_a_good_part_of_the_picture(kind: str) -> None:
    empty = Scene("day", "meadow", (), 5)
    for size, least in (("large", 0.07), ("small", 0.03)):
        shown = replace(empty, objects=(SceneObject(kind, "red", size, "centre"),))
        changed = np.abs(_pixels(shown) - _pixels(empty)).max(axis=-1) > 40
        assert changed.mean() > least
        rows = np.flatnonzero(changed.any(axis=1))
        assert rows[-1] - rows[0] > SIZE * 0.25


@pytest.mark.parametrize("time", TIMES)
def test_a_colour_keeps_its_hue_at_every_time_of_day(time: str) -> None:
    thing = SceneObject("cat", "red", "large", "centre")
    for name, colour in COLOURS.items():
        picture = _pixels(Scene(time, "meadow", (replace(thing, colour=name),), 3))
        nearest = np.abs(picture - np.array(colour)).max(axis=-1).min()
        assert nearest < 60


def test_every_time_and_ground_looks_different() -> None:
    pictures = {(t, g): _pixels(Scene(t, g, (), 9)) for t in TIMES for g in GROUNDS}
    pairs = [(a, b) for a in pictures for b in pictures if a < b]
    assert min(np.abs(pictures[a] - pictures[b]).mean() for a, b in pairs) > 4


def test_left_is_left_of_right() -> None:
    empty = Scene("day", "meadow", (), 5)

    def middle(position: str) -> float:
        shown = replace(empty, objects=(SceneObject("tree", "red", "small", position),))
        changed = np.abs(_pixels(shown) - _pixels(empty)).max(axis=-1) > 40
        return float(np.nonzero(changed)[1].mean())

    assert middle("left") + 20 < middle("centre") < middle("right") - 20
