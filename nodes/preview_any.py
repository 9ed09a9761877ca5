"""The node that shows any value as text."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from nodes.sdk import Context, Help, node
from nodes.sdk.types import Any


@node(title="Preview anything", category="utils", output=True)
def PreviewAny(
    context: Context, source: Annotated[Any, Help("Whatever another node gives: a text, a number, a model …")]
) -> None:
    """Shows a value as text, to see what travels along a link.

    Of a picture, a mask or a latent it tells the shape and the range of values; of a model the file it comes from, and
    what was done to it.
    """
    from diffusion.ops.describe import described

    reserved = context.reserve_output("preview", ".txt", temporary=True)
    reserved.path.write_text(described(source), encoding="utf-8")
    context.publish(replace(reserved.file, media="text/plain"))
