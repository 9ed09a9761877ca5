"""Nodes that give a number, a text or a truth value to the inputs of others, and those that make one of what is there.

One such value may feed many inputs. The names are ComfyUI's.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

from nodes.sdk import Help, Image, Multiline, Range, node

_LARGEST = 2**63 - 1
_FEEDS = "What the linked inputs get. Each holds it to its own limits."


class ImageSize(NamedTuple):
    width: int
    height: int
    batch_size: int


@node(title="Whole number", category="utils")
def PrimitiveInt(value: Annotated[int, Range(-_LARGEST, _LARGEST), Help(_FEEDS)] = 0) -> int:
    """Gives a whole number to the inputs that are linked to it, such as a width or a seed."""
    return value


@node(title="Number", category="utils")
def PrimitiveFloat(value: Annotated[float, Range(-_LARGEST, _LARGEST, 0.1), Help(_FEEDS)] = 0.0) -> float:
    """Gives a number to the inputs that are linked to it, such as a strength."""
    return value


@node(title="Line of text", category="utils")
def PrimitiveString(value: Annotated[str, Help(_FEEDS)] = "") -> str:
    """Gives a text to the inputs that are linked to it, such as a choice or the beginning of a file name."""
    return value


@node(title="Text", category="utils")
def PrimitiveStringMultiline(value: Annotated[str, Multiline(), Help(_FEEDS)] = "") -> str:
    """Gives a text of several lines to the inputs that are linked to it, such as a prompt."""
    return value


@node(title="Yes or no", category="utils")
def PrimitiveBoolean(value: Annotated[bool, Help(_FEEDS)] = False) -> bool:
    """Gives yes or no to the switches that are linked to it."""
    return value


@node(title="Join texts", category="utils/string")
def StringConcatenate(
    string_a: Annotated[str, Multiline(), Help("The text that comes first.")] = "",
    string_b: Annotated[str, Multiline(), Help("The text that comes after it.")] = "",
    delimiter: Annotated[str, Help("What stands between the two, such as a comma and a space.")] = "",
) -> str:
    """Joins two texts to one, such as a prompt and a style."""
    return f"{string_a}{delimiter}{string_b}"


@node(title="Size of picture", category="image")
def GetImageSize(image: Annotated[Image, Help("One picture or a batch.")]) -> ImageSize:
    """Tells how wide and how high pictures are, in pixels, and how many there are."""
    count, height, width, _ = image.shape
    return ImageSize(width, height, count)
