"""The node that compares settings: a table of pictures over the values of one or two inputs."""

from __future__ import annotations

from typing import Annotated

from nodes.output import SaveImage
from nodes.sdk import Context, Help, Image, Label, Multiline, NodeError, node
from nodes.sdk.axis import axis_values

_VALUES = Help(
    "The values, separated by commas or one a line. 1..4 is the numbers from 1 to 4, and 0..1/0.25 goes in steps of "
    "0.25. Prompts go one a line."
)


@node(title="XY plot", category="image/batch", output=True)
def XYPlot(
    context: Context,
    images: Annotated[Image, Help("The pictures to compare, straight from the nodes that make them.")],
    x: Annotated[
        str, Label("across"), Help("Which input differs from column to column: a node's title or id, a dot, the input.")
    ] = "Sample.cfg",
    x_values: Annotated[str, Multiline(), Label("values across"), _VALUES] = "4, 7, 10",
    y: Annotated[str, Label("down"), Help("Which input differs from row to row; leave it empty for one row.")] = "",
    y_values: Annotated[str, Multiline(), Label("values down"), _VALUES] = "",
    filename_prefix: Annotated[str, Help("How the file name begins, as in *Save picture*.")] = "plot",
) -> None:
    """Makes a picture for every combination of values of one or two inputs, and saves them as one labelled table.

    Connect it where *Save picture* would be. Any input of any node that leads here can be varied: a seed, a prompt, a
    sampler, a checkpoint, the strength of a LoRA. What does not depend on it is done once.
    """
    from diffusion.ops.plot import plot

    columns, rows = _labels(x, x_values, "x_values"), _labels(y, y_values, "y_values")
    SaveImage(context, plot(images, columns, rows), filename_prefix)


def _labels(name: str, values: str, input: str) -> list[str]:
    """What is written beside the columns or rows; nothing where no input differs."""
    if not name.strip():
        return []
    try:
        return [f"{name.rpartition('.')[2]}: {value}" for value in axis_values(values)]
    except ValueError as error:
        raise NodeError(f"{error}.", input=input) from error
