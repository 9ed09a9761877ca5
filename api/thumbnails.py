"""Reads pictures with Pillow on behalf of the file handlers: their size, and small copies kept on disk."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

PIXEL_LIMIT = 16384 * 16384
KEPT = 20_000


class NotAPicture(ValueError):
    """A file that can't be read as a picture, or is too large to be one of ours."""


def picture_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels, after checking that the whole picture can be decoded.

    Raises:
        NotAPicture: damaged, of an unknown format, or over 16384×16384 pixels.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            width, height = image.size
            if width * height > PIXEL_LIMIT:
                raise NotAPicture(f"{width}×{height} pixels are too many; the limit is 16384×16384")
            image.draft("RGB", (64, 64))
            image.load()
    except UnidentifiedImageError as error:
        raise NotAPicture("this is not a picture that can be read; save it as PNG or JPEG") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise NotAPicture(f"the picture can't be read ({error}); save it again as PNG or JPEG") from error
    return width, height


def make_thumbnail(path: Path, folder: Path, size: int) -> Path:
    """The WebP copy of a picture with at most `size` pixels a side, from `folder` when it is there already."""
    from PIL import Image, ImageOps

    stat = path.stat()
    key = hashlib.blake2b(f"{path}|{stat.st_mtime_ns}|{stat.st_size}|{size}".encode(), digest_size=16).hexdigest()
    target = folder / f"{key}.webp"
    if target.is_file():
        return target
    picture_size(path)
    folder.mkdir(parents=True, exist_ok=True)
    _make_room(folder)
    with Image.open(path) as image:
        image.draft("RGB", (size, size))
        upright = ImageOps.exif_transpose(image)
        upright.thumbnail((size, size), Image.Resampling.LANCZOS)
        mode = "RGBA" if "A" in upright.getbands() or "transparency" in upright.info else "RGB"
        temporary = folder / f".{secrets.token_hex(8)}"
        try:
            upright.convert(mode).save(temporary, "WEBP", quality=85)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    return target


def _make_room(folder: Path) -> None:
    """Delete the older half of the copies once there are too many; one that is asked for again is made again."""
    kept = sorted(folder.iterdir(), key=_changed) if _count(folder) >= KEPT else []
    for path in kept[: len(kept) // 2]:
        path.unlink(missing_ok=True)


def _count(folder: Path) -> int:
    with os.scandir(folder) as entries:
        return sum(1 for _ in entries)


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # deleted meanwhile
        return 0.0
