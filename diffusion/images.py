"""Pictures: read from files within limits, resized, and turned into 8-bit images.

IMAGE is float32 [B, H, W, C] in 0..1. A file is refused by the size its header states, before a pixel is decoded.
"""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError
from torch import Tensor
from torch.nn.functional import interpolate

from diffusion.errors import BadImage, BadSize

MAX_PIXELS = 8192 * 8192
"""The most pixels that a file (all its frames together), or a resized picture, may have."""
MAX_SIDE = 16384

ResizeMethod = Literal["nearest-exact", "bilinear", "area", "bicubic", "lanczos"]
RESIZE_METHODS: tuple[str, ...] = get_args(ResizeMethod)

_FORMATS = (
    *("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "TGA", "ICO", "AVIF"),
    *("JPEG2000", "PCX", "DDS", "SGI"),
)
_NO_MASK_SIDE = 64


def load_image(path: Path, name: str | None = None, *, keyed: bool = False) -> tuple[Tensor, Tensor]:
    """A picture file → IMAGE [B, H, W, 3] and MASK [B, H, W], which is 1 where the picture is transparent.

    The camera's rotation is applied. An animation gives one item per frame of the first one's size. A picture without
    alpha gives an empty mask of 64×64; so does a grey or RGB one in which a single colour counts as transparent (tRNS
    in PNG), unless `keyed` asks for that colour. Raises BadImage when the file is no picture, damaged, or larger than
    MAX_PIXELS.
    """
    shown = name or path.name
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what matters of a file's oddities is raised or checked below
            with Image.open(path, formats=_readable()) as file:
                _refuse_huge(file, shown)
                frames = _frames(file, shown, keyed=keyed)
    except BadImage:
        raise
    except UnidentifiedImageError as error:
        raise BadImage(
            f"{shown} is not a picture that can be read.", hint="Use PNG, JPEG, WebP, GIF, BMP or TIFF.", input="image"
        ) from error
    except Image.DecompressionBombError as error:
        raise BadImage(
            f"{shown} is too large to open safely.", hint=_limit(), input="image", code="too_large"
        ) from error
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError) as error:
        raise BadImage(
            f"{shown} is damaged or cut short: {str(error)[:200]}.",
            hint="Save or download the picture again.",
            input="image",
        ) from error
    return torch.cat([image for image, _ in frames]), torch.cat([mask for _, mask in frames])


def _readable() -> list[str]:
    """The formats to try, of those that this build of Pillow has. None of them runs another program, as EPS does."""
    Image.init()
    return [each for each in _FORMATS if each in Image.OPEN]


def _refuse_huge(file: Image.Image, name: str) -> None:
    frames = int(getattr(file, "n_frames", 1)) if file.format != "MPO" else 1
    width, height = file.size
    if width * height * frames > MAX_PIXELS:
        several = f" in {frames} frames" if frames > 1 else ""
        raise BadImage(f"{name} is {width}×{height} pixels{several}.", hint=_limit(), input="image", code="too_large")


def _limit() -> str:
    return f"The most is {MAX_PIXELS / 1e6:.0f} million pixels: scale it down first."


def _frames(file: Image.Image, name: str, *, keyed: bool) -> list[tuple[Tensor, Tensor]]:
    found: list[tuple[Tensor, Tensor]] = []
    size: tuple[int, int] | None = None
    for raw in ImageSequence.Iterator(file):
        frame = ImageOps.exif_transpose(raw) or raw
        if frame.mode.startswith("I"):
            frame = frame.point(lambda value: value * (1 / 255))
        if size is None:
            size = frame.size
        if frame.size != size:
            continue
        found.append((_rgb(frame), _mask(frame, keyed=keyed)))
        if file.format == "MPO":  # the further frames of a camera's file are not an animation
            break
    if not found:
        raise BadImage(f"{name} holds no picture.", input="image")
    return found


def _rgb(frame: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(frame.convert("RGB"), dtype=np.float32) / 255.0)[None]


def _mask(frame: Image.Image, *, keyed: bool) -> Tensor:
    if "A" in frame.getbands():
        alpha = frame.getchannel("A")
    elif "transparency" in frame.info and (keyed or frame.mode == "P"):
        alpha = frame.convert("RGBA").getchannel("A")
    else:
        return torch.zeros(1, _NO_MASK_SIDE, _NO_MASK_SIDE)
    return (1.0 - torch.from_numpy(np.array(alpha, dtype=np.float32) / 255.0))[None]


def resize(image: Tensor, width: int, height: int, method: str, crop: str = "disabled") -> Tensor:
    """IMAGE → IMAGE of width×height pixels. `crop` "center" first cuts it to the new proportions; "disabled" stretches.

    A width or height of 0 keeps the proportions. Raises BadSize for sizes that are negative or beyond the limits.
    """
    if width == 0 and height == 0:
        return image
    old_height, old_width = image.shape[1:3]
    if width == 0:
        width = max(1, round(old_width * height / old_height))
    elif height == 0:
        height = max(1, round(old_height * width / old_width))
    check_size(width, height)
    channels_first = _cropped(image.movedim(-1, 1), width, height, crop)
    if method == "lanczos":
        resized = _lanczos(channels_first, width, height)
    elif method in RESIZE_METHODS:
        resized = interpolate(channels_first, size=(height, width), mode=method)
    else:
        raise BadSize(f"There is no method {method!r}.", hint=f"Known: {', '.join(RESIZE_METHODS)}.")
    return resized.movedim(1, -1).contiguous()


def resize_by(image: Tensor, factor: float, method: str) -> Tensor:
    """IMAGE → IMAGE with both sides multiplied by `factor` and rounded."""
    if not math.isfinite(factor) or factor <= 0:
        raise BadSize(f"A picture cannot be scaled by {factor}.", hint="Give a factor above 0.", input="scale_by")
    height, width = image.shape[1:3]
    return resize(image, max(1, round(width * factor)), max(1, round(height * factor)), method)


def check_size(width: int, height: int) -> None:
    """Raise BadSize, naming the side to blame, for a size that cannot be made."""
    for name, side in (("width", width), ("height", height)):
        if not 1 <= side <= MAX_SIDE:
            raise BadSize(f"A {name} of {side} pixels cannot be made.", hint=f"Use 1 to {MAX_SIDE}.", input=name)
    if width * height > MAX_PIXELS:
        raise BadSize(f"{width}×{height} pixels are too many.", hint=_limit(), input="width")


def to_pil(image: Tensor) -> Image.Image:
    """One picture [H, W, C] in 0..1 → 8 bits a channel, rounded towards zero."""
    scaled = (image.detach().float().cpu() * 255.0).nan_to_num().clamp(0, 255).to(torch.uint8).numpy()
    return Image.fromarray(scaled.squeeze(-1) if scaled.shape[-1] == 1 else scaled)


def _cropped(samples: Tensor, width: int, height: int, crop: str) -> Tensor:
    if crop != "center":
        return samples
    old_height, old_width = samples.shape[-2:]
    old, new = old_width / old_height, width / height
    left = round((old_width - old_width * (new / old)) / 2) if old > new else 0
    top = round((old_height - old_height * (old / new)) / 2) if old < new else 0
    return samples[..., top : old_height - top, left : old_width - left]


def _lanczos(samples: Tensor, width: int, height: int) -> Tensor:
    """By Pillow, in 8 bits, whose windowed-sinc filter widens when it shrinks and so does not alias."""
    resized = [to_pil(each).resize((width, height), Image.Resampling.LANCZOS) for each in samples.movedim(1, -1)]
    arrays = [np.asarray(each, dtype=np.float32) / 255.0 for each in resized]
    stacked = torch.from_numpy(np.stack([each if each.ndim == 3 else each[..., None] for each in arrays]))
    return stacked.movedim(-1, 1)


def crop_to_proportions(samples: Tensor, width: int, height: int) -> Tensor:
    """[B, C, H, W] → its middle part that has the proportions of width to height."""
    return _cropped(samples, width, height, "center")
