"""From a scene to its picture: 128×128, supersampled three times, a pure function of the scene.

Back to front: sky, clouds or stars, ground, then each object with a soft shadow and an ink outline.
"""

from __future__ import annotations

import math
import random

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from training.palette import COLOURS, CREAM, INK, LAMP, LAND_LIGHT, LANDS, RGB, SKIES, lit, mix
from training.pen import Pen
from training.scene import SKY_KINDS, Scene, SceneObject
from training.shapes import SHAPES

SIZE = 128
OVERSAMPLE = 3
_BIG = SIZE * OVERSAMPLE
_SMALL_SCALE = 0.66
_PLACES = {"left": 0.28, "centre": 0.5, "right": 0.72}
_WET = (58, 148, 192)


def render(scene: Scene) -> Image.Image:
    """The RGB picture of `scene`."""
    rng = random.Random(scene.jitter)
    canvas = _sky(scene.time, rng)
    horizon = _BIG * (0.64 + rng.uniform(-0.025, 0.025))
    draw = ImageDraw.Draw(canvas)
    _weather(draw, scene.time, rng)
    _ground(draw, scene, horizon, rng)
    picture = canvas.reduce(OVERSAMPLE)
    ordered = sorted(scene.objects, key=lambda thing: thing.kind not in SKY_KINDS and thing.kind != "mountain")
    if scene.riding:
        ordered = list(reversed(scene.objects))
    mirrored = rng.random() < 0.5
    for thing in ordered:
        _place(picture, scene, thing, horizon / OVERSAMPLE, rng, mirrored)
        mirrored = mirrored if scene.riding else rng.random() < 0.5
    return picture


def _sky(time: str, rng: random.Random) -> Image.Image:
    sky = SKIES[time]
    stops = np.array([sky.top, sky.middle, sky.horizon], np.float32) + rng.uniform(-5, 5)
    rows = np.linspace(0, 1, _BIG) / 0.68
    column = np.stack([np.interp(rows, (0, 0.55, 1), stops[:, c]) for c in range(3)], axis=-1)
    strip = Image.fromarray(column.clip(0, 255).astype(np.uint8)[:, None])
    return strip.resize((_BIG, _BIG), Image.Resampling.NEAREST)


def _cloud(draw: ImageDraw.ImageDraw, x: float, y: float, size: float, fill: RGB) -> None:
    for dx, dy, radius in ((-0.9, 0.1, 0.5), (-0.3, -0.2, 0.7), (0.4, -0.1, 0.62), (0.95, 0.15, 0.45)):
        r = radius * size
        draw.ellipse((x + dx * size - r, y + dy * size - r, x + dx * size + r, y + dy * size + r * 0.7), fill=fill)
    draw.rounded_rectangle((x - 1.35 * size, y, x + 1.35 * size, y + 0.5 * size), radius=0.25 * size, fill=fill)


def _weather(draw: ImageDraw.ImageDraw, time: str, rng: random.Random) -> None:
    sky = SKIES[time]
    if time == "night":
        for number in range(7):
            x = (number + rng.uniform(0.2, 0.8)) / 7 * _BIG
            y, r = rng.uniform(0.04, 0.5) * _BIG, rng.uniform(6, 10)
            k = r * 0.35
            points = [(0, -r), (k, -k), (r, 0), (k, k), (0, r), (-k, k), (-r, 0), (-k, -k)]
            draw.polygon([(x + dx, y + dy) for dx, dy in points], fill=(255, 244, 200))
    elif time == "storm":
        bolt_x = rng.choice((0.12, 0.88)) * _BIG
        bolt = [(2, 0), (34, 0), (16, 50), (42, 50), (-22, 150), (-6, 76), (-32, 76)]
        draw.polygon([(bolt_x + dx, 0.2 * _BIG + dy) for dx, dy in bolt], fill=LAMP)
        for number in range(4):
            x = (number + rng.uniform(0.2, 0.8)) / 4 * _BIG
            tone = mix(sky.cloud, sky.top, 0.45 * (number % 2))
            _cloud(draw, x, rng.uniform(0.03, 0.13) * _BIG, rng.uniform(48, 62), tone)
    else:
        count = 2 if time == "day" else 1
        for number in range(count):
            x = (number + rng.uniform(0.15, 0.85)) / count * _BIG
            _cloud(draw, x, rng.uniform(0.1, 0.32) * _BIG, rng.uniform(24, 34), sky.cloud)


def _ridge(
    draw: ImageDraw.ImageDraw, base: float, swing: float, waves: float, phase: float, fill: RGB, sharp: bool = False
) -> None:
    xs = np.linspace(0, _BIG, 49)
    angle = xs / _BIG * waves * 2 * math.pi + phase
    height = np.abs(np.sin(angle / 2)) * 2 - 1 if sharp else np.sin(angle)
    ys = base - swing * height
    draw.polygon([(0, _BIG), *zip(xs.tolist(), ys.tolist(), strict=True), (_BIG, _BIG)], fill=fill)


def _ground(draw: ImageDraw.ImageDraw, scene: Scene, horizon: float, rng: random.Random) -> None:
    land, light = LANDS[scene.ground], LAND_LIGHT[scene.time]
    far, middle, near = lit(land.far, light), lit(land.middle, light), lit(land.near, light)
    phase = rng.uniform(0, 2 * math.pi)
    depth = _BIG - horizon
    if scene.ground == "sea":
        far = mix(far, SKIES[scene.time].horizon, 0.25)
        draw.rectangle((0, horizon, _BIG, _BIG), fill=far)
        _ridge(draw, horizon + 0.36 * depth, 7, 4, phase, middle, sharp=True)
        _ridge(draw, horizon + 0.72 * depth, 9, 3, phase + 2, near, sharp=True)
    elif scene.ground == "city":
        _skyline(draw, scene.time, horizon, rng)
        draw.rectangle((0, horizon + 0.14 * depth, _BIG, _BIG), fill=near)
        draw.rectangle((0, horizon, _BIG, horizon + 0.16 * depth), fill=far)
        for number in range(5):
            x = (number + 0.2) / 5 * _BIG
            draw.rectangle((x, horizon + 0.56 * depth, x + 44, horizon + 0.65 * depth), fill=lit(CREAM, light))
    else:
        swing, waves = {"meadow": (16, 0.9), "snow": (12, 1.2), "desert": (20, 1.0)}[scene.ground]
        sharp = scene.ground == "desert"
        _ridge(draw, horizon, swing, waves, phase, far, sharp)
        _ridge(draw, horizon + 0.34 * depth, swing * 0.8, waves, phase + 2.2, middle, sharp)
        _ridge(draw, horizon + 0.74 * depth, swing * 0.5, waves * 1.3, phase + 4.1, near)


def _skyline(draw: ImageDraw.ImageDraw, time: str, horizon: float, rng: random.Random) -> None:
    dark = time in ("night", "storm", "sunset")
    tone = lit((112, 118, 150), LAND_LIGHT[time])
    pane = LAMP if dark else lit((190, 214, 236), LAND_LIGHT[time])
    width = _BIG / 6
    for number in range(6):
        top = horizon - rng.uniform(0.16, 0.4) * _BIG
        left = number * width
        fill = mix(tone, SKIES[time].horizon, 0.12 + 0.22 * (number % 2))
        draw.rectangle((left, top, left + width, horizon + 6), fill=fill)
        y = top + 16
        while y < horizon - 16:
            draw.rectangle((left + 9, y, left + 27, y + 20), fill=pane)
            draw.rectangle((left + width - 27, y, left + width - 9, y + 20), fill=pane)
            y += 38


def _place(
    picture: Image.Image, scene: Scene, thing: SceneObject, horizon: float, rng: random.Random, mirrored: bool
) -> None:
    """Draw one object onto `picture` in place; `horizon` in picture pixels."""
    shape = SHAPES[thing.kind]
    height = shape.height * SIZE * (1.0 if thing.size == "large" else _SMALL_SCALE) * rng.uniform(0.95, 1.05)
    if len(scene.objects) == 2 and not scene.riding:
        height = min(height, 0.54 * SIZE / shape.width)
    x = _PLACES[thing.position] * SIZE
    half = min(shape.width * height / 2, SIZE / 2)
    x = min(max(x, half - 2), SIZE - half + 2) + rng.uniform(-4, 4)
    near = 0.93 if thing.size == "large" else 0.86
    if thing.kind in SKY_KINDS:
        foot = SIZE * (0.37 if thing.kind != "balloon" else 0.4) + height / 2 + rng.uniform(-4, 4)
    elif thing.kind == "mountain":
        foot = horizon + 0.12 * SIZE
    else:
        foot = SIZE * near + rng.uniform(-2, 2)
    if scene.riding:
        x, foot, height = _saddle(thing.kind, scene.objects[1], mirrored, scene.jitter)
    elif thing.kind not in SKY_KINDS:
        _footing(picture, scene, thing, x, foot, half)
    _stamp(picture, scene.time, thing, x, foot, height, mirrored)


def _saddle(kind: str, horse: SceneObject, mirrored: bool, jitter: int) -> tuple[float, float, float]:
    """Where horse and rider go, so that the one sits on the other: middle, foot and height in pixels."""
    rng = random.Random(jitter)
    x = SIZE * (0.5 + 0.5 * (_PLACES[horse.position] - 0.5)) + rng.uniform(-4, 4)
    foot, height = SIZE * 0.94 + rng.uniform(-2, 2), 0.6 * SIZE
    if kind == "horse":
        return x, foot, height
    return x + (0.08 if mirrored else -0.08) * height, foot - 0.5 * height, 0.42 * SIZE


def _footing(picture: Image.Image, scene: Scene, thing: SceneObject, x: float, foot: float, half: float) -> None:
    """What an object stands on: its shadow on land, an islet at sea, and a pond for a boat ashore."""
    light = LAND_LIGHT[scene.time]
    afloat = thing.kind == "boat"
    if scene.ground == "sea" and thing.kind == "mountain":
        return
    if scene.ground == "sea" and not afloat:
        fill, rx, ry, alpha = lit((232, 206, 140), light), half * 1.12 + 5, 7.5, 255
    elif afloat and scene.ground != "sea":
        fill, rx, ry, alpha = lit(_WET, light), half * 1.2, 8.0, 255
    elif afloat:
        fill, rx, ry, alpha = lit((200, 230, 244), light), half * 0.95, 4.5, 150
    elif thing.kind == "mountain":
        return
    else:
        fill, rx, ry, alpha = INK, half * 0.95, 4.5, 70
    layer = Image.new("L", (_BIG, _BIG), 0)
    box = [(x - rx) * OVERSAMPLE, (foot - ry) * OVERSAMPLE, (x + rx) * OVERSAMPLE, (foot + ry) * OVERSAMPLE]
    ImageDraw.Draw(layer).ellipse(box, fill=alpha)
    picture.paste(fill, (0, 0), layer.reduce(OVERSAMPLE))


def _stamp(
    picture: Image.Image, time: str, thing: SceneObject, x: float, foot: float, height: float, mirrored: bool
) -> None:
    layer = Image.new("RGBA", (_BIG, _BIG), (*INK, 0))
    pen = Pen(layer, x * OVERSAMPLE, foot * OVERSAMPLE, height * OVERSAMPLE, mirrored)
    SHAPES[thing.kind].paint(pen, COLOURS[thing.colour])
    small = layer.reduce(OVERSAMPLE)
    alpha = small.getchannel("A")
    outline = mix(INK, SKIES[time].top, 0.15)
    picture.paste(outline, (0, 0), alpha.filter(ImageFilter.MaxFilter(3)).point(lambda a: a * 0.8))
    tint = SKIES[time].tint
    if thing.kind not in ("sun", "moon"):
        bands = [
            band.point([round(v * k) for v in range(256)]) for band, k in zip(small.split()[:3], tint, strict=True)
        ]
        small = Image.merge("RGB", bands)
    picture.paste(small, (0, 0), alpha)
