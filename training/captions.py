"""Captions for scenes, from a grammar with enough paraphrase that a person's own wording works.

A caption never contradicts its scene. It leaves out a time, ground or colour only where the scene says so, and then
the picture shows the natural one (a day, a green tree), so that silence has a meaning too.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from training.scene import Scene, SceneObject

KIND_WORDS: dict[str, tuple[str, ...]] = {
    "house": ("house", "cottage", "home", "cabin", "hut"),
    "tree": ("tree", "oak", "oak tree", "leafy tree"),
    "boat": ("boat", "ship", "sailboat", "sailing boat", "yacht"),
    "sun": ("sun",),
    "moon": ("moon", "crescent moon", "crescent", "half moon"),
    "mountain": ("mountain", "mountains", "peak", "mountain peak", "alp"),
    "cat": ("cat", "kitten", "kitty", "kitty cat"),
    "car": ("car", "automobile", "vehicle", "auto"),
    "lighthouse": ("lighthouse", "light tower", "beacon"),
    "balloon": ("balloon", "hot air balloon", "hot-air balloon", "airship"),
    "astronaut": ("astronaut", "spaceman", "cosmonaut", "space traveller"),
    "horse": ("horse", "pony", "stallion", "mare"),
}
COLOUR_WORDS: dict[str, tuple[str, ...]] = {
    "red": ("red", "crimson", "scarlet", "ruby"),
    "orange": ("orange", "tangerine", "ginger", "amber"),
    "yellow": ("yellow", "golden", "gold", "lemon yellow"),
    "green": ("green", "emerald", "leaf green"),
    "blue": ("blue", "azure", "cobalt", "deep blue"),
    "purple": ("purple", "violet", "lilac"),
    "pink": ("pink", "rosy", "rose pink"),
    "white": ("white", "pale", "ivory"),
}
SIZE_WORDS: dict[str, tuple[str, ...]] = {
    "small": ("small", "little", "tiny"),
    "large": ("large", "big", "huge", "giant"),
}
POSITION_PHRASES: dict[str, tuple[str, ...]] = {
    "left": ("on the left", "to the left", "on the left side"),
    "centre": ("in the middle", "in the centre", "in the center"),
    "right": ("on the right", "to the right", "on the right side"),
}
TIME_PHRASES: dict[str, tuple[str, ...]] = {
    "dawn": ("at dawn", "at sunrise", "in the early morning", "at daybreak", "in the morning"),
    "day": ("by day", "in daylight", "on a sunny day", "at noon", "during the day", "under a blue sky"),
    "sunset": ("at sunset", "at dusk", "in the evening", "at twilight", "under an evening sky"),
    "night": ("at night", "in the night", "under the stars", "at midnight", "on a starry night"),
    "storm": ("in a storm", "in a thunderstorm", "in stormy weather", "under dark clouds", "on a rainy day"),
}
TIME_TAGS: dict[str, tuple[str, ...]] = {
    "dawn": ("dawn", "sunrise", "morning", "daybreak"),
    "day": ("day", "daytime", "daylight", "noon", "sunny"),
    "sunset": ("sunset", "dusk", "evening", "twilight"),
    "night": ("night", "midnight", "starry night", "stars"),
    "storm": ("storm", "thunderstorm", "stormy", "lightning", "rain"),
}
GROUND_PHRASES: dict[str, tuple[str, ...]] = {
    "meadow": ("on a meadow", "in a green field", "on the grass", "in the countryside", "on green hills", "in a park"),
    "sea": ("by the sea", "on the sea", "on the ocean", "at a lake", "on the water", "over the waves", "at the coast"),
    "desert": ("in the desert", "in a sandy desert", "on the sand dunes", "among dunes", "on the sand"),
    "snow": ("in the snow", "on a snowy field", "in winter", "in a snowy landscape", "on the ice"),
    "city": ("in the city", "in a town", "on a street", "in front of skyscrapers", "on the road", "downtown"),
}
GROUND_TAGS: dict[str, tuple[str, ...]] = {
    "meadow": ("meadow", "field", "grass", "hills", "countryside"),
    "sea": ("sea", "ocean", "lake", "water", "waves"),
    "desert": ("desert", "sand", "dunes"),
    "snow": ("snow", "winter", "snowy", "ice"),
    "city": ("city", "town", "street", "skyline", "buildings"),
}
PREFIXES = (
    "a picture of", "storybook illustration of", "a painting of", "a photograph of", "a photo of", "an illustration of",
    "a drawing of", "a picture book page with", "a children's book illustration of", "a flat illustration of",
    "an image of", "a scene with", "there is", "a view of",
)  # fmt: skip
SUFFIXES = (
    "flat style", "picture book", "storybook", "children's book illustration", "beautiful", "highly detailed",
    "masterpiece", "digital art", "simple shapes", "vector art", "cute", "best quality", "4k",
)  # fmt: skip
RIDING = ("riding", "riding on", "on", "sitting on", "on top of", "on the back of")
TOGETHER = ("and", "next to", "beside", "with", "near")
_GLUE = ("a an the is , . ' - and",)


def caption_of(scene: Scene, seed: int) -> str:
    """One wording for `scene`; the same seed gives the same wording."""
    rng = random.Random(f"caption/{scene.jitter}/{seed}")
    text = _tags(scene, rng) if rng.random() < 0.2 else _sentence(scene, rng)
    if rng.random() < 0.12:
        text += ", " + rng.choice(SUFFIXES)
    return text + ("." if rng.random() < 0.08 else "")


def phrases() -> Iterator[str]:
    """Every wording the grammar can use, piece by piece: the vocabulary that training can touch."""
    tables = (
        KIND_WORDS, COLOUR_WORDS, SIZE_WORDS, POSITION_PHRASES, TIME_PHRASES, TIME_TAGS, GROUND_PHRASES, GROUND_TAGS,
    )  # fmt: skip
    for table in tables:
        for words in table.values():
            yield from words
            yield from table
    for words in (PREFIXES, SUFFIXES, RIDING, TOGETHER, _GLUE):
        yield from words


def _word(rng: random.Random, words: Sequence[str]) -> str:
    """The plain word more often than its synonyms."""
    return words[0] if rng.random() < 0.5 else rng.choice(words)


def _description(thing: SceneObject, rng: random.Random) -> str:
    parts: list[str] = []
    if rng.random() < 0.35:
        parts.append(rng.choice(SIZE_WORDS[thing.size]))
    if thing.colour_told:
        parts.append(_word(rng, COLOUR_WORDS[thing.colour]))
        if rng.random() < 0.1:
            parts.reverse()
    parts.append(_word(rng, KIND_WORDS[thing.kind]))
    return " ".join(parts)


def _noun(thing: SceneObject, rng: random.Random) -> str:
    text = _description(thing, rng)
    if text.endswith("mountains"):
        return text
    if rng.random() < 0.15:
        return f"the {text}"
    return f"{'an' if text[0] in 'aeiou' else 'a'} {text}"


def _sentence(scene: Scene, rng: random.Random) -> str:
    things = scene.objects
    subject = _noun(things[0], rng)
    if scene.riding:
        subject += f" {rng.choice(RIDING)} {_noun(things[1], rng)}"
    elif len(things) == 2:
        spoken = [subject, _noun(things[1], rng)]
        if rng.random() < 0.35:
            spoken = [f"{t} {rng.choice(POSITION_PHRASES[o.position])}" for t, o in zip(spoken, things, strict=True)]
            subject = " and ".join(spoken)
        else:
            subject = f" {rng.choice(TOGETHER)} ".join(spoken)
    elif rng.random() < 0.35:
        subject += f" {rng.choice(POSITION_PHRASES[things[0].position])}"
    if rng.random() < 0.45:
        subject = f"{rng.choice(PREFIXES)} {subject}"
    around: list[str] = []
    if scene.ground_told:
        around.append(_word(rng, GROUND_PHRASES[scene.ground]))
    if scene.time_told:
        around.append(_word(rng, TIME_PHRASES[scene.time]))
    if rng.random() < 0.3:
        around.reverse()
    if around and rng.random() < 0.2:
        return f"{' '.join(around)}, {subject}"
    if len(around) == 2 and rng.random() < 0.2:
        return f"{around[0]} {subject} {around[1]}" if rng.random() < 0.5 else f"{around[0]}, {subject} {around[1]}"
    return " ".join((subject, *around))


def _tags(scene: Scene, rng: random.Random) -> str:
    things = [_description(thing, rng) for thing in scene.objects]
    if scene.riding:
        things = [f"{things[0]} riding {things[1]}"]
    elif len(things) == 1 and rng.random() < 0.25:
        things.append(rng.choice((scene.objects[0].position, POSITION_PHRASES[scene.objects[0].position][0])))
    around: list[str] = []
    if scene.ground_told:
        around.append(rng.choice(GROUND_TAGS[scene.ground]))
    if scene.time_told:
        around.append(rng.choice(TIME_TAGS[scene.time]))
    rng.shuffle(around)
    return ", ".join(things + around if rng.random() < 0.75 else around + things)
