"""The twelve kinds of object, each a function that draws one with a pen, in one colour.

Silhouettes are bold and unlike each other, and nothing is finer than a tenth of the object: an autoencoder that
reduces eight times would lose it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from training.palette import CREAM, GLASS, INK, LAMP, RGB, TYRE, WOOD, mix, shade, shine
from training.pen import Pen, arc


@dataclass(frozen=True)
class Shape:
    """How a kind is drawn: its painter, its height when large as a share of the picture, and its width in heights."""

    paint: Callable[[Pen, RGB], None]
    height: float
    width: float


def _house(pen: Pen, colour: RGB) -> None:
    roof = mix(INK, WOOD, 0.45)
    pen.rect(0.2, 0.72, 0.36, 1.0, roof)
    pen.rect(-0.46, 0.0, 0.46, 0.58, colour)
    pen.rect(0.2, 0.0, 0.46, 0.58, shade(colour))
    pen.polygon([(-0.6, 0.54), (0.0, 0.98), (0.6, 0.54)], roof)
    pen.rect(-0.12, 0.0, 0.1, 0.34, WOOD, 0.04)
    pen.rect(-0.38, 0.2, -0.2, 0.42, LAMP)
    pen.rect(0.18, 0.2, 0.36, 0.42, LAMP)


def _tree(pen: Pen, colour: RGB) -> None:
    pen.polygon([(-0.1, 0.0), (0.1, 0.0), (0.06, 0.5), (-0.06, 0.5)], WOOD)
    pen.disc((0.2, 0.52), 0.24, shade(colour))
    pen.disc((-0.2, 0.52), 0.24, colour)
    pen.disc((0.04, 0.72), 0.28, colour)
    pen.disc((-0.06, 0.78), 0.16, shine(colour))


def _boat(pen: Pen, colour: RGB) -> None:
    pen.rect(-0.03, 0.2, 0.03, 1.0, WOOD)
    pen.polygon([(0.07, 0.34), (0.07, 0.96), (0.5, 0.34)], CREAM)
    pen.polygon([(-0.07, 0.34), (-0.07, 0.8), (-0.4, 0.34)], shine(colour))
    pen.polygon([(-0.62, 0.28), (0.62, 0.28), (0.4, 0.0), (-0.42, 0.0)], colour)
    pen.polygon([(-0.52, 0.12), (0.49, 0.12), (0.4, 0.0), (-0.42, 0.0)], shade(colour))


def _sun(pen: Pen, colour: RGB) -> None:
    for spoke in range(10):
        tip = arc((0.0, 0.5), 0.5, spoke * 36, spoke * 36, 1)[0]
        foot = arc((0.0, 0.5), 0.31, spoke * 36 - 15, spoke * 36 + 15, 1)
        pen.polygon([foot[0], tip, foot[1]], shine(colour))
    pen.disc((0.0, 0.5), 0.32, shade(colour))
    pen.disc((0.0, 0.5), 0.29, colour)


def _moon(pen: Pen, colour: RGB) -> None:
    outer = arc((0.0, 0.5), 0.5, 60, 300, 40)
    inner = arc((0.24, 0.5), 0.434, 272, 88, 40)
    pen.polygon(outer + inner, colour)
    pen.disc((-0.3, 0.62), 0.07, shade(colour))
    pen.disc((-0.26, 0.34), 0.09, shade(colour))


def _mountain(pen: Pen, colour: RGB) -> None:
    pen.polygon([(0.0, 0.0), (0.42, 0.68), (0.95, 0.0)], shade(colour))
    pen.polygon([(-0.95, 0.0), (-0.12, 1.0), (0.6, 0.0)], colour)
    pen.polygon([(-0.12, 1.0), (0.6, 0.0), (0.12, 0.0), (-0.02, 0.5)], mix(colour, shade(colour), 0.7))
    pen.polygon([(-0.12, 1.0), (-0.37, 0.7), (-0.22, 0.6), (-0.1, 0.72), (0.0, 0.6), (0.1, 0.7)], (250, 250, 255))


def _cat(pen: Pen, colour: RGB) -> None:
    pen.stroke([(0.2, 0.08), (0.42, 0.12), (0.5, 0.3), (0.42, 0.46)], 0.11, shade(colour))
    pen.ellipse((0.0, 0.26), 0.28, 0.27, colour)
    pen.ellipse((0.0, 0.2), 0.15, 0.19, shine(colour))
    for side in (-1, 1):
        pen.polygon([(side * 0.3, 0.66), (side * 0.28, 1.0), (side * 0.04, 0.86)], colour)
        pen.polygon([(side * 0.25, 0.76), (side * 0.245, 0.91), (side * 0.13, 0.84)], shade(colour))
        pen.ellipse((side * 0.13, 0.04), 0.11, 0.06, colour)
    pen.ellipse((0.0, 0.65), 0.34, 0.25, colour)
    for side in (-1, 1):
        pen.ellipse((side * 0.14, 0.68), 0.06, 0.08, INK)
    pen.ellipse((0.0, 0.55), 0.05, 0.035, (240, 120, 130))


def _car(pen: Pen, colour: RGB) -> None:
    pen.polygon([(-0.62, 0.5), (-0.4, 0.98), (0.34, 0.98), (0.62, 0.5)], colour)
    pen.polygon([(-0.46, 0.54), (-0.31, 0.86), (-0.05, 0.86), (-0.05, 0.54)], GLASS)
    pen.polygon([(0.05, 0.54), (0.05, 0.86), (0.26, 0.86), (0.46, 0.54)], GLASS)
    pen.rect(-0.98, 0.18, 0.98, 0.58, colour, 0.14)
    pen.rect(-0.92, 0.18, 0.92, 0.32, shade(colour), 0.06)
    pen.disc((0.88, 0.44), 0.09, LAMP)
    for x in (-0.55, 0.55):
        pen.disc((x, 0.2), 0.23, TYRE)
        pen.disc((x, 0.2), 0.11, (206, 206, 216))


def _lighthouse(pen: Pen, colour: RGB) -> None:
    def band(low: float, high: float, fill: RGB) -> None:
        half_low, half_high = 0.2 - 0.1 * low, 0.2 - 0.1 * high
        pen.polygon([(-half_low, low), (half_low, low), (half_high, high), (-half_high, high)], fill)
        pen.polygon([(half_low * 0.3, low), (half_low, low), (half_high, high), (half_high * 0.3, high)], shade(fill))

    for number in range(5):
        band(number * 0.14, (number + 1) * 0.14, colour if number % 2 == 0 else CREAM)
    pen.rect(-0.19, 0.69, 0.19, 0.74, INK)
    pen.rect(-0.11, 0.74, 0.11, 0.88, LAMP)
    pen.polygon([(-0.17, 0.87), (0.17, 0.87), (0.0, 1.0)], colour)


def _balloon(pen: Pen, colour: RGB) -> None:
    pen.stroke([(-0.24, 0.44), (-0.09, 0.14)], 0.025, INK)
    pen.stroke([(0.24, 0.44), (0.09, 0.14)], 0.025, INK)
    pen.polygon([(-0.31, 0.5), (0.31, 0.5), (0.1, 0.24), (-0.1, 0.24)], shade(colour))
    pen.disc((0.0, 0.64), 0.36, colour)
    pen.ellipse((0.0, 0.64), 0.21, 0.36, shine(colour))
    pen.ellipse((0.0, 0.64), 0.09, 0.36, colour)
    pen.rect(-0.13, 0.0, 0.13, 0.16, WOOD, 0.03)


def _astronaut(pen: Pen, colour: RGB) -> None:
    pen.rect(-0.3, 0.3, 0.3, 0.64, shade(shade(colour)), 0.08)
    for side in (-1, 1):
        pen.stroke([(side * 0.11, 0.3), (side * 0.14, 0.08)], 0.17, shade(colour))
        pen.ellipse((side * 0.17, 0.05), 0.13, 0.055, INK)
    pen.stroke([(-0.18, 0.56), (-0.38, 0.36)], 0.14, shade(colour))
    pen.stroke([(0.18, 0.56), (0.4, 0.72)], 0.14, colour)
    pen.rect(-0.22, 0.24, 0.22, 0.64, colour, 0.1)
    pen.rect(-0.1, 0.36, 0.1, 0.48, GLASS, 0.02)
    pen.disc((0.0, 0.77), 0.23, colour)
    pen.ellipse((0.03, 0.76), 0.165, 0.135, INK)
    pen.ellipse((-0.02, 0.8), 0.07, 0.045, GLASS)


def _horse(pen: Pen, colour: RGB) -> None:
    dark = shade(shade(colour))
    pen.stroke([(-0.4, 0.58), (-0.56, 0.5), (-0.58, 0.22)], 0.11, dark)
    for x, tone in ((-0.2, dark), (0.3, dark), (-0.34, colour), (0.18, colour)):
        pen.stroke([(x, 0.44), (x, 0.05)], 0.11, tone)
    pen.rect(-0.44, 0.34, 0.34, 0.64, colour, 0.15)
    pen.polygon([(0.1, 0.62), (0.34, 0.96), (0.52, 0.84), (0.34, 0.42)], colour)
    pen.stroke([(0.42, 0.86), (0.66, 0.7)], 0.16, colour)
    pen.polygon([(0.32, 0.9), (0.36, 1.04), (0.46, 0.92)], colour)
    pen.stroke([(0.3, 0.94), (0.2, 0.78), (0.06, 0.66)], 0.1, dark)
    pen.disc((0.47, 0.86), 0.04, INK)


SHAPES: Mapping[str, Shape] = {
    "house": Shape(_house, 0.60, 1.2),
    "tree": Shape(_tree, 0.66, 0.9),
    "boat": Shape(_boat, 0.62, 1.25),
    "sun": Shape(_sun, 0.56, 1.0),
    "moon": Shape(_moon, 0.52, 0.9),
    "mountain": Shape(_mountain, 0.62, 1.9),
    "cat": Shape(_cat, 0.58, 0.95),
    "car": Shape(_car, 0.42, 2.0),
    "lighthouse": Shape(_lighthouse, 0.78, 0.4),
    "balloon": Shape(_balloon, 0.66, 0.75),
    "astronaut": Shape(_astronaut, 0.64, 0.95),
    "horse": Shape(_horse, 0.58, 1.3),
}
