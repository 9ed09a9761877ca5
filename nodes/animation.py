"""Nodes that save a batch of pictures as one moving picture."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Literal

from diffusion.errors import blaming
from nodes.output.animated import encode_animated_png, encode_animated_webp
from nodes.output.filenames import expand
from nodes.sdk import Context, Help, Image, OutputPath, Range, node

_CATEGORY = "image/animation"
_IMAGES = Help("A batch: each picture is a frame.")
_PREFIX = Help("May hold folders, and the tokens that *Save picture* knows.")
_FPS = Help("Frames a second.")
_METHODS = {"default": 4, "fastest": 0, "slowest": 6}


@node(title="Save animated WebP", category=_CATEGORY, output=True)
def SaveAnimatedWEBP(
    context: Context,
    images: Annotated[Image, _IMAGES],
    filename_prefix: Annotated[str, _PREFIX] = "Latentgraph",
    fps: Annotated[float, Range(0.01, 1000.0, 0.01), _FPS] = 6.0,
    lossless: Annotated[bool, Help("Keep every pixel; the file is larger.")] = True,
    quality: Annotated[int, Range(0, 100), Help("Of the pictures; of the compression, when nothing may be lost.")] = 80,
    method: Annotated[Literal["default", "fastest", "slowest"], Help("slowest makes the smallest file.")] = "default",
) -> None:
    """Saves a batch as a moving WebP in the output folder, with the workflow that made it."""
    from diffusion.images import to_pil

    reserved = _reserve(context, images, filename_prefix, ".webp")
    frames = [to_pil(image) for image in images]
    context.check_cancelled()
    data = encode_animated_webp(
        frames, context.document, context.prompt, context.node_id,
        milliseconds=_milliseconds(fps), lossless=lossless, quality=quality, method=_METHODS[method],
    )  # fmt: skip
    _publish(context, reserved, data, images, "image/webp")


@node(title="Save animated PNG", category=_CATEGORY, output=True)
def SaveAnimatedPNG(
    context: Context,
    images: Annotated[Image, _IMAGES],
    filename_prefix: Annotated[str, _PREFIX] = "Latentgraph",
    fps: Annotated[float, Range(0.01, 1000.0, 0.01), _FPS] = 6.0,
    compress_level: Annotated[int, Range(0, 9), Help("9 makes the smallest file and takes the longest.")] = 4,
) -> None:
    """Saves a batch as a moving PNG in the output folder, with the workflow that made it."""
    from diffusion.images import to_pil

    reserved = _reserve(context, images, filename_prefix, ".png")
    frames = [to_pil(image) for image in images]
    context.check_cancelled()
    data = encode_animated_png(
        frames, context.document, context.prompt, context.node_id,
        milliseconds=_milliseconds(fps), compress_level=compress_level,
    )  # fmt: skip
    _publish(context, reserved, data, images, "image/png")


def _milliseconds(fps: float) -> int:
    """How long a frame is shown, rounded down as in ComfyUI."""
    return int(1000.0 / fps)


def _reserve(context: Context, images: Image, prefix: str, ending: str) -> OutputPath:
    height, width = images.shape[1:3]
    name = expand(
        prefix, context.prompt, datetime.now(), width=width, height=height, node_id=context.node_id, batch_number=0
    )
    with blaming("filename_prefix"):
        return context.reserve_output(name, ending)


def _publish(context: Context, reserved: OutputPath, data: bytes, images: Image, media: str) -> None:
    reserved.path.write_bytes(data)
    height, width = images.shape[1:3]
    context.publish(replace(reserved.file, media=media, width=width, height=height))
