"""Colours of the picture-book world, kept apart from the shapes so that a scene's mood can be tuned in one place.

All values are sRGB triples in 0…255. The light of a time of day only tints an object slightly: a red boat must stay
red at night, or neither the model nor the judge could learn its colour.
"""

from __future__ import annotations

from dataclasses import dataclass

RGB = tuple[int, int, int]

COLOURS: dict[str, RGB] = {
    "red": (222, 52, 56),
    "orange": (244, 136, 36),
    "yellow": (250, 212, 60),
    "green": (72, 170, 84),
    "blue": (52, 112, 220),
    "purple": (138, 76, 188),
    "pink": (246, 142, 186),
    "white": (246, 246, 250),
}

INK: RGB = (44, 36, 66)
CREAM: RGB = (252, 244, 222)
WOOD: RGB = (124, 82, 56)
GLASS: RGB = (178, 220, 244)
LAMP: RGB = (255, 226, 120)
TYRE: RGB = (52, 50, 64)


@dataclass(frozen=True)
class Sky:
    """Light of one time of day: three stops from zenith to horizon, the clouds, and the tint it casts on objects."""

    top: RGB
    middle: RGB
    horizon: RGB
    cloud: RGB
    tint: tuple[float, float, float]


SKIES: dict[str, Sky] = {
    "dawn": Sky((150, 158, 216), (238, 182, 208), (255, 228, 190), (255, 226, 226), (1.0, 0.97, 0.98)),
    "day": Sky((64, 150, 232), (128, 196, 246), (206, 236, 252), (255, 255, 255), (1.0, 1.0, 1.0)),
    "sunset": Sky((104, 52, 122), (226, 84, 82), (255, 176, 74), (250, 138, 100), (1.0, 0.93, 0.87)),
    "night": Sky((14, 18, 56), (28, 38, 92), (58, 72, 138), (52, 62, 118), (0.87, 0.88, 0.98)),
    "storm": Sky((62, 72, 84), (96, 108, 118), (146, 156, 160), (50, 56, 68), (0.91, 0.93, 0.95)),
}


@dataclass(frozen=True)
class Land:
    """Tones of one ground, from the far layer to the near one."""

    far: RGB
    middle: RGB
    near: RGB


LANDS: dict[str, Land] = {
    "meadow": Land((146, 198, 106), (116, 180, 84), (92, 160, 70)),
    "sea": Land((58, 148, 192), (42, 126, 178), (30, 104, 158)),
    "desert": Land((240, 204, 138), (228, 182, 110), (212, 160, 88)),
    "snow": Land((206, 222, 242), (226, 236, 250), (240, 246, 254)),
    "city": Land((136, 140, 160), (108, 110, 128), (86, 88, 104)),
}

LAND_LIGHT: dict[str, tuple[float, float, float]] = {
    "dawn": (1.0, 0.92, 0.95),
    "day": (1.0, 1.0, 1.0),
    "sunset": (0.98, 0.80, 0.74),
    "night": (0.42, 0.48, 0.72),
    "storm": (0.66, 0.70, 0.76),
}


def lit(colour: RGB, light: tuple[float, float, float]) -> RGB:
    """The colour under a light, channel by channel."""
    r, g, b = (min(255, round(c * k)) for c, k in zip(colour, light, strict=True))
    return r, g, b


def mix(a: RGB, b: RGB, amount: float) -> RGB:
    """`amount` = 0 gives `a`, 1 gives `b`."""
    r, g, b_ = (round(x + (y - x) * amount) for x, y in zip(a, b, strict=True))
    return r, g, b_


def shade(colour: RGB) -> RGB:
    """The darker tone of an object's shadow side."""
    return mix(colour, INK, 0.28)


def shine(colour: RGB) -> RGB:
    """The lighter tone of an object's lit side."""
    return mix(colour, (255, 255, 255), 0.38)
