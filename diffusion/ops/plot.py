"""Pictures in a table, with what differs written above the columns and beside the rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from diffusion.errors import BadSize
from diffusion.images import MAX_PIXELS
from diffusion.ops.grid import grid

_PAPER, _INK = 255, 20
_GAP = 8
_LINES = 4


def plot(images: Tensor, columns: Sequence[str], rows: Sequence[str]) -> Tensor:
    """Pictures `[B,H,W,C]`, row by row, as one table `[1,h,w,3]` with these headings; where B is a multiple of the
    number of cells, each cell holds that many. Raises BadSize when B is none, or the table would be too large."""
    across, down = max(1, len(columns)), max(1, len(rows))
    each, left = divmod(len(images), across * down)
    if left or not each:
        raise BadSize(f"{len(images)} pictures do not fill {across}×{down} cells.", input="images")
    cells = [grid(part, 0, 0) if each > 1 else part for part in images[..., :3].split(each)]
    height, width = cells[0].shape[1:3]
    font = ImageFont.load_default(max(12, min(28, width // 16)))
    top = _space(font, columns, width)
    side = _side(font, rows, width)
    size = (side + across * (width + _GAP) + _GAP, top + down * (height + _GAP) + _GAP)
    if size[0] * size[1] > MAX_PIXELS:
        raise BadSize(f"The plot would have {size[0]}×{size[1]} pixels.", input="images", hint="Use fewer values.")
    sheet = Image.new("RGB", size, (_PAPER,) * 3)
    pen = ImageDraw.Draw(sheet)
    for place, text in enumerate(columns):
        middle = side + _GAP + place * (width + _GAP) + width // 2
        _write(pen, font, text, (middle, top // 2), width, "mm")
    for place, text in enumerate(rows):
        middle = top + _GAP + place * (height + _GAP) + height // 2
        _write(pen, font, text, (_GAP, middle), side - _GAP, "lm")
    table = torch.from_numpy(np.array(sheet)).float()[None] / 255
    for place, cell in enumerate(cells):
        y = top + _GAP + place // across * (height + _GAP)
        x = side + _GAP + place % across * (width + _GAP)
        table[0, y : y + height, x : x + width] = cell[0]
    return table


def _space(font: ImageFont.FreeTypeFont | ImageFont.ImageFont, texts: Sequence[str], width: int) -> int:
    """The height of a row of headings."""
    if not texts:
        return 0
    pen = ImageDraw.Draw(Image.new("L", (1, 1)))
    return max(_extent(pen, font, "\n".join(_wrapped(pen, font, text, width)))[1] for text in texts) + _GAP


def _side(font: ImageFont.FreeTypeFont | ImageFont.ImageFont, texts: Sequence[str], width: int) -> int:
    """The width of a column of headings."""
    if not texts:
        return 0
    pen = ImageDraw.Draw(Image.new("L", (1, 1)))
    most = max(120, width // 2)
    return max(_extent(pen, font, "\n".join(_wrapped(pen, font, text, most)))[0] for text in texts) + 2 * _GAP


def _write(
    pen: ImageDraw.ImageDraw,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    text: str,
    place: tuple[int, int],
    width: int,
    anchor: str,
) -> None:
    lines = "\n".join(_wrapped(pen, font, text, width))
    pen.multiline_text(place, lines, fill=(_INK,) * 3, font=font, anchor=anchor, align="center")


def _wrapped(
    pen: ImageDraw.ImageDraw, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, text: str, width: int
) -> list[str]:
    """A text in lines that fit a width, the last one cut when there are too many. A word that is too long is broken."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if _extent(pen, font, longer)[0] <= width:
            lines[-1] = longer
            continue
        if lines[-1]:
            lines.append("")
        for letter in word:
            if lines[-1] and _extent(pen, font, lines[-1] + letter)[0] > width:
                lines.append("")
            lines[-1] += letter
    return lines if len(lines) <= _LINES else [*lines[: _LINES - 1], f"{lines[_LINES - 1][:-1]}…"]


def _extent(pen: ImageDraw.ImageDraw, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, text: str) -> tuple[int, int]:
    left, top, right, bottom = pen.multiline_textbbox((0, 0), text, font=font)
    return int(right - left), int(bottom - min(top, 0))
