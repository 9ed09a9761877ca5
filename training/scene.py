"""What a picture shows, before any pixel: a pure function from (seed, index) to a scene.

A scene names everything a caption may speak of, and a `jitter` seed for everything that it may not. A tenth of the
combinations (kind, colour, ground, time) is held out by hash: no training picture ever shows one of them, so pictures
asked for by those captions measure composition rather than memory.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass

from training.palette import COLOURS, LANDS, SKIES

TIMES = tuple(SKIES)
GROUNDS = tuple(LANDS)
COLOUR_NAMES = tuple(COLOURS)
KINDS = (
    "house", "tree", "boat", "sun", "moon", "mountain",
    "cat", "car", "lighthouse", "balloon", "astronaut", "horse",
)  # fmt: skip
SIZES = ("small", "large")
POSITIONS = ("left", "centre", "right")
SKY_KINDS = frozenset({"sun", "moon", "balloon"})

NATURAL_COLOURS: dict[str, tuple[str, ...]] = {
    "house": ("red", "white", "orange"),
    "tree": ("green",),
    "boat": ("red", "white", "blue"),
    "sun": ("yellow", "orange"),
    "moon": ("white", "yellow"),
    "mountain": ("purple", "blue"),
    "cat": ("orange", "white"),
    "car": ("red", "blue", "yellow"),
    "lighthouse": ("red",),
    "balloon": ("red", "orange", "blue"),
    "astronaut": ("white",),
    "horse": ("white", "orange"),
}
NATURAL_GROUNDS: dict[str, tuple[str, ...]] = {
    "boat": ("sea",),
    "lighthouse": ("sea",),
    "car": ("city",),
    "astronaut": ("desert", "snow"),
}


@dataclass(frozen=True)
class SceneObject:
    """One thing in the picture. `colour_told` is false only where the colour is the kind's natural one."""

    kind: str
    colour: str
    size: str
    position: str
    colour_told: bool = True


@dataclass(frozen=True)
class Scene:
    """A whole picture. `riding` means that the first object sits on the second."""

    time: str
    ground: str
    objects: tuple[SceneObject, ...]
    jitter: int
    time_told: bool = True
    ground_told: bool = True
    riding: bool = False


def is_held_out(kind: str, colour: str, ground: str, time: str) -> bool:
    """Whether this combination is kept from training; about one in ten is, by hash."""
    digest = hashlib.sha256(f"{kind}/{colour}/{ground}/{time}".encode()).digest()
    return digest[0] * 256 + digest[1] < 6554


def held_out_combinations() -> list[tuple[str, str, str, str]]:
    """Every held-out (kind, colour, ground, time), in a fixed order."""
    return [
        (kind, colour, ground, time)
        for kind in KINDS
        for colour in COLOUR_NAMES
        for ground in GROUNDS
        for time in TIMES
        if is_held_out(kind, colour, ground, time)
    ]


def scene_at(seed: int, index: int) -> Scene:
    """The training scene number `index` of `seed`; draws again until nothing in it is held out."""
    rng = random.Random(f"scene/{seed}/{index}")
    while True:
        scene = _draw(rng, KINDS[index % len(KINDS)])
        if not any(is_held_out(o.kind, o.colour, scene.ground, scene.time) for o in scene.objects):
            return scene


def held_out_scenes(seed: int, count: int) -> Iterator[Scene]:
    """`count` single-object scenes of held-out combinations, kinds in turn, every attribute told."""
    rng = random.Random(f"held-out/{seed}")
    by_kind = {kind: [c for c in held_out_combinations() if c[0] == kind] for kind in KINDS}
    for number in range(count):
        kind, colour, ground, time = rng.choice(by_kind[KINDS[number % len(KINDS)]])
        thing = SceneObject(kind, colour, rng.choice(SIZES), rng.choice(POSITIONS))
        yield Scene(time, ground, (thing,), rng.getrandbits(32))


def _draw(rng: random.Random, kind: str) -> Scene:
    riding = kind in ("astronaut", "horse") and rng.random() < 0.18
    if riding:
        things = _riders(rng)
    elif rng.random() < 0.78:
        things = (_thing(rng, kind, rng.choice(POSITIONS)),)
    else:
        things = _pair(rng, kind)
    time_told = rng.random() > 0.12
    time = rng.choice(TIMES) if time_told else "day"
    ground_told = rng.random() > 0.12
    natural = NATURAL_GROUNDS.get(things[0].kind, ("meadow",))
    ground = rng.choice(GROUNDS if ground_told else natural)
    return Scene(time, ground, things, rng.getrandbits(32), time_told, ground_told, riding)


def _thing(rng: random.Random, kind: str, position: str, size: str = "") -> SceneObject:
    told = rng.random() > 0.15
    colour = rng.choice(COLOUR_NAMES if told else NATURAL_COLOURS[kind])
    return SceneObject(kind, colour, size or rng.choices(SIZES, (0.4, 0.6))[0], position, told)


def _riders(rng: random.Random) -> tuple[SceneObject, SceneObject]:
    position = rng.choices(POSITIONS, (0.2, 0.6, 0.2))[0]
    return _thing(rng, "astronaut", position, "large"), _thing(rng, "horse", position, "large")


def _pair(rng: random.Random, kind: str) -> tuple[SceneObject, SceneObject]:
    """Two kinds, one on the left and one on the right, so that neither covers the other."""
    sides = rng.sample(("left", "right"), 2)
    other = rng.choice([k for k in KINDS if k != kind])
    return _thing(rng, kind, sides[0]), _thing(rng, other, sides[1])
