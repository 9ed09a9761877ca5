"""The node that lays pictures out in a grid."""

from __future__ import annotations

from typing import Annotated

from nodes.sdk import Help, Image, Label, Range, node


@node(title="Picture grid", category="image/batch")
def ImageGrid(
    images: Annotated[Image, Help("A batch of pictures.")],
    n_rows: Annotated[
        int, Range(0, 256), Label("per row"), Help("How many stand in a row; 0 makes the grid about square.")
    ] = 0,
    padding: Annotated[int, Range(0, 256), Help("Black pixels around each.")] = 2,
) -> Image:
    """Lays the pictures of a batch out as one, row by row, to compare them at a glance."""
    from diffusion.ops.grid import grid

    return grid(images, n_rows, padding)
