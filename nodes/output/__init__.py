"""Nodes that show and save what a graph made."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Annotated

from diffusion.errors import blaming
from nodes.output.filenames import expand
from nodes.output.png import encode_png
from nodes.sdk import Advanced, Context, Help, Image, node


@node(title="Save picture", category="image", output=True)
def SaveImage(
    context: Context,
    images: Annotated[Image, Help("One picture or a batch; each is saved to a file of its own.")],
    filename_prefix: Annotated[
        str,
        Help(
            "How the file names begin; folders are made as needed (a/b). Tokens: %date%, %date:yyyy-MM-dd%, %seed%, "
            "%width%, %height%, and %Node title.input% for any input of any node."
        ),
    ] = "Latentgraph",
    watermark: Annotated[
        str,
        Advanced(),
        Help(
            "A short text (17 letters at most) to hide in the picture, for *Read watermark*. Nobody sees it, and it "
            "survives mild compression. Empty adds none."
        ),
    ] = "",
) -> None:
    """Saves pictures as PNG files in the output folder, numbered, never overwriting one.

    Each file carries the workflow that made it (drop it on the canvas to get the graph back), the same as a ComfyUI
    prompt, and the `parameters` text that other programs show.
    """
    if watermark:
        from diffusion.ops.watermark import embed

        images = embed(images, watermark)
    _write(context, images, filename_prefix, temporary=False)


@node(title="Preview picture", category="image", output=True, aliases=("SaveImageWebsocket",))
def PreviewImage(
    context: Context,
    images: Annotated[Image, Help("One picture or a batch.")],
) -> None:
    """Shows pictures on the node without keeping them: the files are in a folder that is emptied now and then."""
    _write(context, images, "preview", temporary=True)


def _write(context: Context, images: Image, filename_prefix: str, *, temporary: bool) -> None:
    from diffusion.images import to_pil

    now = datetime.now()
    for index, image in enumerate(images):
        context.check_cancelled()
        height, width = image.shape[:2]
        prefix = expand(
            filename_prefix,
            context.prompt,
            now,
            width=width,
            height=height,
            node_id=context.node_id,
            batch_number=index,
        )
        with blaming("filename_prefix"):
            reserved = context.reserve_output(prefix, ".png", temporary=temporary)
        reserved.path.write_bytes(encode_png(to_pil(image), context.document, context.prompt, context.node_id))
        context.publish(replace(reserved.file, width=width, height=height))
