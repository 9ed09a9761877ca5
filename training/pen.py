"""Drawing in an object's own units: x grows to the right from its middle, y grows upwards from its foot.

One unit is the object's height. The pen draws on a supersampled layer, so all its edges come out antialiased.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw

from training.palette import RGB

Point = tuple[float, float]


class Pen:
    """Draws shapes for one object whose foot is at (`x`, `y`) and whose height is `scale`, all in layer pixels."""

    def __init__(self, layer: Image.Image, x: float, y: float, scale: float, mirrored: bool = False) -> None:
        self._draw = ImageDraw.Draw(layer)
        self._x, self._y, self._scale = x, y, scale
        self._sign = -1.0 if mirrored else 1.0

    def _at(self, point: Point) -> Point:
        return self._x + self._sign * point[0] * self._scale, self._y - point[1] * self._scale

    def polygon(self, points: Sequence[Point], fill: RGB) -> None:
        self._draw.polygon([self._at(p) for p in points], fill=fill)

    def ellipse(self, centre: Point, rx: float, ry: float, fill: RGB) -> None:
        x, y = self._at(centre)
        self._draw.ellipse(
            (x - rx * self._scale, y - ry * self._scale, x + rx * self._scale, y + ry * self._scale), fill=fill
        )

    def disc(self, centre: Point, radius: float, fill: RGB) -> None:
        self.ellipse(centre, radius, radius, fill)

    def rect(self, left: float, bottom: float, right: float, top: float, fill: RGB, radius: float = 0.0) -> None:
        x0, y0 = self._at((left, top))
        x1, y1 = self._at((right, bottom))
        box = (min(x0, x1), y0, max(x0, x1), y1)
        self._draw.rounded_rectangle(box, radius=radius * self._scale, fill=fill)

    def stroke(self, points: Sequence[Point], width: float, fill: RGB) -> None:
        """A line with round joints and ends, `width` in units of the object."""
        pixels = [self._at(p) for p in points]
        thick = max(1, round(width * self._scale))
        self._draw.line(pixels, fill=fill, width=thick, joint="curve")
        for x, y in (pixels[0], pixels[-1]):
            self._draw.ellipse((x - thick / 2, y - thick / 2, x + thick / 2, y + thick / 2), fill=fill)


def arc(centre: Point, radius: float, start: float, end: float, steps: int = 24) -> list[Point]:
    """Points on a circle from `start` to `end` degrees, anticlockwise from the x axis."""
    angles = [math.radians(start + (end - start) * i / steps) for i in range(steps + 1)]
    return [(centre[0] + radius * math.cos(a), centre[1] + radius * math.sin(a)) for a in angles]
