"""The node that reads the invisible watermark that *Save picture* can add."""

from __future__ import annotations

from typing import Annotated

from nodes.sdk import Help, Image, node


@node(title="Read watermark", category="image")
def ReadWatermark(images: Annotated[Image, Help("A saved picture, whole and in its size.")]) -> str:
    """Reads the invisible watermark of a picture, as *Save picture* writes it when asked to. The text is empty when
    there is none, or the picture was scaled, cut or compressed too much. Of a batch, the first picture counts."""
    from diffusion.ops.watermark import detect

    return detect(images[0]) or ""
